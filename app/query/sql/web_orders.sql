-- What was ordered in each of some periods: in a row of all, and per currency, which are never added.
SELECT p.place, o.whole, o.currency, o.orders, o.priced, o.amount, o.converted
FROM unnest(:from_at::timestamptz[], :to_at::timestamptz[]) WITH ORDINALITY AS p (since, until, place)
CROSS JOIN LATERAL {{fn}}order_sums(p.since, p.until) AS o
WHERE o.whole OR o.priced > 0
ORDER BY p.place, o.whole DESC, o.priced DESC, o.currency
