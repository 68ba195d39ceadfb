-- What became of all events that were ever received, and of those of a range of hours.
SELECT outcome, reason, sum(n)::bigint AS n, coalesce(sum(n) FILTER (WHERE hour >= $1 AND hour < $2), 0)::bigint AS of_range
FROM {{schema}}.outcome_counts
GROUP BY outcome, reason
HAVING sum(n) <> 0
ORDER BY outcome, reason
