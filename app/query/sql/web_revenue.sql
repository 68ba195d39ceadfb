-- What the orders of each of some periods came to, by the place of the period and the currency; amounts of different
-- currencies are never added.
SELECT p.place, c.currency, sum(c.priced)::bigint AS orders, sum(c.amount) AS amount
FROM unnest(:from_at::timestamptz[], :to_at::timestamptz[]) WITH ORDINALITY AS p (since, until, place)
CROSS JOIN LATERAL {{fn}}order_counts(p.since, p.until) AS c
WHERE c.priced > 0
GROUP BY p.place, c.currency
ORDER BY p.place, 3 DESC, c.currency
