-- Days are those of the client's zone, as its rollups count them.
SELECT v.first_day AS day, v.visitors, coalesce(c.events, 0)::bigint AS events,
    coalesce(c.page_views, 0)::bigint AS page_views
FROM {{schema}}.visitors_over(:from_at, :to_at, 'day') AS v
LEFT JOIN (
    SELECT e.day, sum(e.n) AS events, sum(e.n) FILTER (WHERE e.name = 'page_view') AS page_views
    FROM {{schema}}.name_counts(:from_at, :to_at) AS e
    GROUP BY e.day
) AS c ON c.day = v.first_day
ORDER BY v.first_day
