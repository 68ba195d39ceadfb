-- What follows are the steps. Visitors who have no number yet get one below 0 here.
WITH span AS MATERIALIZED (SELECT s.* FROM {{fn}}event_span(:from_at, :to_at) AS s),
raw AS MATERIALIZED (
    SELECT m.name, m.at, coalesce(m.number, -dense_rank() OVER (ORDER BY m.visitor_id))::integer AS visitor
    FROM (
        SELECT e.name, e.occurred_at AS at, e.visitor_id,
            (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 0 AND n.id = e.visitor_id) AS number
        FROM span AS w
        CROSS JOIN LATERAL {{fn}}raw_events('', :from_at, :to_at, w.whole_from, w.whole_to) AS e
        WHERE e.name = ANY (:names::text[]) AND e.visitor_id IS NOT NULL
    ) AS m
)