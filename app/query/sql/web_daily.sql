-- Days are those of the client's zone. Until a worker has counted that zone's days, who came is told from raw events.
WITH fits AS MATERIALIZED (SELECT {{fn}}rollup_zone() = :zone::text AS rolled),
days AS MATERIALIZED (
    SELECT v.first_day AS day, v.visitors
    FROM {{fn}}visitors_over(:from_at, :to_at, 'day') AS v
    WHERE (SELECT rolled FROM fits)
    UNION ALL
    SELECT d.day, count(DISTINCT e.visitor_id)
    FROM (
        SELECT f.day + generate_series(0, l.day - f.day) AS day
        FROM (SELECT (:from_at::timestamptz AT TIME ZONE :zone)::date AS day) AS f
        CROSS JOIN (SELECT ((:to_at::timestamptz - interval '1 microsecond') AT TIME ZONE :zone)::date AS day) AS l
    ) AS d
    LEFT JOIN {{schema}}.events AS e
        ON e.occurred_at >= :from_at AND e.occurred_at < :to_at AND (e.occurred_at AT TIME ZONE :zone)::date = d.day
    WHERE NOT (SELECT rolled FROM fits)
    GROUP BY d.day
)
SELECT d.day, d.visitors, coalesce(c.events, 0)::bigint AS events, coalesce(c.page_views, 0)::bigint AS page_views
FROM days AS d
LEFT JOIN (
    SELECT e.day, sum(e.n) AS events, sum(e.n) FILTER (WHERE e.name = 'page_view') AS page_views
    FROM {{fn}}name_counts(:from_at, :to_at) AS e
    WHERE (SELECT rolled FROM fits)
    GROUP BY e.day
    UNION ALL
    SELECT (e.quarter AT TIME ZONE :zone)::date, sum(e.n), sum(e.n) FILTER (WHERE e.name = 'page_view')
    FROM {{fn}}event_counts(:from_at, :to_at) AS e
    WHERE NOT (SELECT rolled FROM fits)
    GROUP BY 1
) AS c ON c.day = d.day
ORDER BY d.day
