-- Forgets the commerce facts of a range of time and answers with the events that tell them, as of the same moment.
WITH forgotten AS (
    DELETE FROM {{schema}}.commerce_facts WHERE occurred_at >= $2 AND occurred_at < $3
)
SELECT e.name, e.event_id, e.occurred_at, e.session_id, e.visitor_id, e.user_id, e.amount, e.currency, e.properties
FROM {{schema}}.events AS e
WHERE e.name = ANY ($1::text[]) AND e.occurred_at >= $2 AND e.occurred_at < $3
