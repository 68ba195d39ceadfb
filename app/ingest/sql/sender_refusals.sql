-- What was refused of some keys last.
SELECT received_at, code, pointer, detail
FROM {{schema}}.quarantine
WHERE key_id = ANY ($1) AND received_at >= $2
ORDER BY received_at DESC
LIMIT 5
