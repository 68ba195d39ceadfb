SELECT count(DISTINCT e.visitor_id) AS visitors
FROM {{schema}}.events AS e
WHERE e.occurred_at >= :from_at AND e.occurred_at < :to_at
