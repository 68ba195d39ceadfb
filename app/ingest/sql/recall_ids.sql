SELECT id, digest, flush FROM {{schema}}.event_ids WHERE id = ANY($1::uuid[])
