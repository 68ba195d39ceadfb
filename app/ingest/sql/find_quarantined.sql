SELECT id, received_at, key_id, event_id, event_uuid, code, pointer, detail, octet_length(body) AS body_bytes,
    edited_at, replayed_at, body
FROM {{schema}}.quarantine
WHERE id = $1
