SELECT event_id, name, schema_name AS schema, occurred_at, received_at
FROM {{schema}}.events
WHERE occurred_at >= $1 AND occurred_at < $2
ORDER BY occurred_at DESC, event_id DESC
LIMIT 1
