-- Days before $1 whose sessions are not counted, or not by all that they are counted by now, the earliest first.
SELECT d.day
FROM (
    SELECT first.day + generate_series(0, $1::date - first.day - 1) AS day
    FROM (SELECT (min(s.started_at) AT TIME ZONE $2::text)::date AS day FROM {{schema}}.sessions AS s) AS first
) AS d
WHERE NOT EXISTS (SELECT FROM {{schema}}.rollup_visit_days AS c WHERE c.day = d.day AND c.by_channel)
ORDER BY d.day
LIMIT $3
