-- Decides which telling of orders ($1) counts, and who bought: of those that were told more than once, or not any more.
UPDATE {{schema}}.rollup_purchases AS p
SET counts = p.event_id = o.event_id, told = CASE WHEN o.times > 1 THEN tstzrange(o.first_at, o.last_at, '[]') END,
    buyer_id = CASE WHEN o.times > 1 THEN o.buyer_id END, buyer = CASE WHEN o.times > 1 THEN o.buyer END
FROM (
    SELECT DISTINCT ON (t.id) t.id, t.event_id, count(*) OVER same AS times, min(t.occurred_at) OVER same AS first_at,
        max(t.occurred_at) OVER same AS last_at,
        first_value(t.session_id) OVER (PARTITION BY t.id ORDER BY t.session_id) AS buyer_id,
        first_value(t.session) OVER (PARTITION BY t.id ORDER BY t.session_id) AS buyer
    FROM {{schema}}.rollup_purchases AS t
    WHERE t.id = ANY ($1::text[])
    WINDOW same AS (PARTITION BY t.id)
    ORDER BY t.id, t.amount IS NULL, t.occurred_at, t.event_id
) AS o
WHERE p.id = o.id
