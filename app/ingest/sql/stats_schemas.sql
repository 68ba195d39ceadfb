SELECT schema_name AS name, count(*) AS n
FROM {{schema}}.events
WHERE occurred_at >= $1 AND occurred_at < $2 AND schema_name IS NOT NULL
GROUP BY schema_name
ORDER BY n DESC, name
