-- Ids begin with the time at which the event was received, so that their order is that of arrival.
SELECT id, received_at, key_id, event_id, event_uuid, code, pointer, detail, octet_length(body) AS body_bytes,
    edited_at, replayed_at
FROM {{schema}}.quarantine
WHERE ($1::uuid IS NULL OR id < $1)
  AND ($2::text IS NULL OR code = $2)
  AND ($3::uuid IS NULL OR key_id = $3)
  AND ($4::timestamptz IS NULL OR received_at >= $4)
  AND ($5::timestamptz IS NULL OR received_at < $5)
ORDER BY id DESC
LIMIT $6
