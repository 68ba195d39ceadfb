-- What some keys sent of late, by name.
SELECT name, count(*) AS n, max(received_at) AS last_received_at
FROM {{schema}}.events
WHERE key_id = ANY ($1) AND occurred_at >= $2
GROUP BY name
ORDER BY n DESC, name
LIMIT 50
