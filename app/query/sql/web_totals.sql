-- What happened in each of some periods, and how the sessions that started in it went.
SELECT counted.events, counted.page_views, seen.visitors, visits.sessions, visits.bounces, visits.seconds
FROM unnest(:from_at::timestamptz[], :to_at::timestamptz[]) WITH ORDINALITY AS p (since, until, place)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.n), 0)::bigint AS events,
        coalesce(sum(e.n) FILTER (WHERE e.name = 'page_view'), 0)::bigint AS page_views
    FROM {{fn}}name_counts(p.since, p.until) AS e
) AS counted
CROSS JOIN LATERAL (
    SELECT coalesce(sum(v.visitors), 0)::bigint AS visitors FROM {{fn}}visitors_over(p.since, p.until, 'all') AS v
) AS seen
CROSS JOIN LATERAL (
    SELECT coalesce(sum(v.sessions), 0)::bigint AS sessions, coalesce(sum(v.bounces), 0)::bigint AS bounces,
        coalesce(sum(v.seconds), 0) AS seconds
    FROM {{fn}}visit_groups('{0}', p.since, p.until) AS v
) AS visits
ORDER BY p.place
