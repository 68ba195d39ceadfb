-- What became of the events of some keys, ever: per outcome and reason, and in which hours it began and went on.
SELECT outcome, reason, sum(n)::bigint AS n, min(hour) AS first_hour, max(hour) AS last_hour
FROM {{schema}}.outcome_counts
WHERE key_id = ANY ($1)
GROUP BY outcome, reason
HAVING sum(n) > 0
ORDER BY outcome, reason
