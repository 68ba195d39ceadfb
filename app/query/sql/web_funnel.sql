-- Who did the steps when: for each day and name records of twelve bytes, as `rollup_steps` keeps them. Visitors who have
-- no number yet get one here, behind those that have.
WITH span AS MATERIALIZED (SELECT s.* FROM {{fn}}event_span(:from_at, :to_at) AS s),
raw AS MATERIALIZED (
    SELECT m.day, m.name, m.at,
        coalesce(m.number, m.next_number - 1 + dense_rank() OVER (ORDER BY m.visitor_id))::integer AS visitor
    FROM (
        SELECT (e.occurred_at AT TIME ZONE w.zone)::date AS day, e.name, e.occurred_at AS at, e.visitor_id,
            (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 0 AND n.id = e.visitor_id) AS number,
            coalesce((SELECT s.numbers[1] FROM {{schema}}.rollup_state AS s), 0) AS next_number
        FROM span AS w
        CROSS JOIN LATERAL {{fn}}raw_events('', :from_at, :to_at, w.whole_from, w.whole_to) AS e
        WHERE e.name = ANY (:names::text[]) AND e.visitor_id IS NOT NULL
    ) AS m
)
SELECT t.day, s.name, t.events
FROM {{schema}}.rollup_series AS s
JOIN {{schema}}.rollup_steps AS t ON t.series = s.id
WHERE s.name = ANY (:names::text[]) AND md5(s.detail) IS NULL
    AND t.day >= (SELECT w.first_day FROM span AS w) AND t.day < (SELECT w.end_day FROM span AS w)
UNION ALL
SELECT r.day, r.name, string_agg(int4send(r.visitor) || timestamptz_send(r.at), '') FROM raw AS r GROUP BY r.day, r.name
ORDER BY 1
