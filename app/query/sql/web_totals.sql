SELECT coalesce(sum(e.n), 0)::bigint AS events,
    coalesce(sum(e.n) FILTER (WHERE e.name = 'page_view'), 0)::bigint AS page_views,
    (SELECT coalesce(sum(v.visitors), 0)::bigint FROM {{fn}}visitors_over(:from_at, :to_at, 'all') AS v) AS visitors,
    (SELECT coalesce(sum(s.sessions), 0)::bigint FROM {{fn}}visit_counts(0, :from_at, :to_at) AS s) AS sessions
FROM {{fn}}name_counts(:from_at, :to_at) AS e
