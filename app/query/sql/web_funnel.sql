-- Reads raw events: an order is no set. What follows are the later steps.
WITH did AS MATERIALIZED (
    SELECT e.visitor_id, e.name, e.occurred_at
    FROM {{schema}}.events AS e
    WHERE e.occurred_at >= :from_at AND e.occurred_at < :to_at AND e.name = ANY (:names::text[])
        AND e.visitor_id IS NOT NULL
),
a AS MATERIALIZED (
    SELECT d.visitor_id, min(d.occurred_at) AS at FROM did AS d WHERE d.name = :step_a GROUP BY d.visitor_id
)