-- Rollups tell in which quarter of an hour it happened.
SELECT event_id, name, schema_name AS schema, occurred_at, received_at
FROM {{schema}}.events
WHERE occurred_at >= greatest($1, (SELECT max(c.quarter) FROM {{fn}}event_counts($1, $2) AS c WHERE c.n > 0))
    AND occurred_at < $2
ORDER BY occurred_at DESC, event_id DESC
LIMIT 1
