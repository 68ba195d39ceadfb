-- What happens: from raw events, of which this time holds few, and the sessions that they belong to, which are looked up
-- one by one: a join would read all there are. `part` tells what a row is about: all of it, a minute, a page, or a
-- dimension of `visit_traits`.
WITH recent AS MATERIALIZED (
    SELECT e.occurred_at, e.name, e.page_path, e.visitor_id, e.session_id
    FROM {{schema}}.events AS e
    WHERE e.occurred_at >= :from_at AND e.occurred_at < :to_at
),
visits AS MATERIALIZED (
    SELECT (SELECT s FROM {{schema}}.sessions AS s WHERE s.session_id = r.session_id) AS told
    FROM (SELECT DISTINCT e.session_id FROM recent AS e WHERE e.session_id IS NOT NULL) AS r
),
there AS MATERIALIZED (SELECT v.told FROM visits AS v WHERE (v.told).session_id IS NOT NULL),
parts AS (
    SELECT 'all' AS part, NULL AS name, NULL::timestamptz AS at, count(*) AS events,
        count(*) FILTER (WHERE e.name = 'page_view') AS views, count(DISTINCT e.visitor_id) AS visitors,
        (SELECT count(*) FROM there) AS sessions,
        (SELECT count(*) FILTER (WHERE (t.told).page_views = 1) FROM there AS t) AS bounces,
        (SELECT coalesce(sum(extract(epoch FROM (t.told).ended_at - (t.told).started_at)), 0) FROM there AS t) AS seconds,
        count(DISTINCT e.visitor_id) FILTER (WHERE e.occurred_at >= :active_from) AS active,
        (
            SELECT count(DISTINCT o.session_id) FROM {{fn}}orders(:from_at, :to_at) AS o
            WHERE o.session_id IN (SELECT (t.told).session_id FROM there AS t)
        ) AS converted
    FROM recent AS e
    UNION ALL
    SELECT 'minute', NULL, m.at, count(e.name), count(*) FILTER (WHERE e.name = 'page_view'),
        count(DISTINCT e.visitor_id), NULL, NULL, NULL, NULL, NULL
    FROM generate_series(:from_at::timestamptz, :to_at::timestamptz - interval '1 minute', interval '1 minute') AS m (at)
    LEFT JOIN recent AS e ON date_bin('1 minute', e.occurred_at, :from_at) = m.at
    GROUP BY m.at
    UNION ALL
    SELECT 'page', coalesce(e.page_path, 'unknown'), NULL, NULL, count(*), count(DISTINCT e.visitor_id),
        NULL, NULL, NULL, NULL, NULL
    FROM recent AS e
    WHERE e.name = 'page_view'
    GROUP BY 2
    UNION ALL
    SELECT t.dimension::text, t.value, NULL, NULL, NULL, count(DISTINCT (v.told).visitor_id), count(*),
        count(*) FILTER (WHERE (v.told).page_views = 1), sum(extract(epoch FROM (v.told).ended_at - (v.told).started_at)),
        NULL, NULL
    FROM there AS v CROSS JOIN LATERAL {{fn}}visit_traits(v.told) AS t
    WHERE t.dimension = ANY (:dimensions::smallint[]) AND t.value IS NOT NULL
    GROUP BY t.dimension, t.value
)
SELECT r.part, r.name, r.at, r.events, r.views, r.visitors, r.sessions, r.bounces, r.seconds, r.active, r.converted
FROM (
    SELECT p.*, row_number() OVER (
        PARTITION BY p.part ORDER BY p.at, coalesce(p.views, p.sessions) DESC, p.name
    ) AS place
    FROM parts AS p
) AS r
WHERE r.part = 'minute' OR r.place <= :most
ORDER BY r.part, r.place
