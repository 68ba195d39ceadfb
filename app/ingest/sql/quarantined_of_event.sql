SELECT id, received_at, code, pointer, detail
FROM {{schema}}.quarantine
WHERE event_uuid = $1
ORDER BY id DESC
LIMIT 1
