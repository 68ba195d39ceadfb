-- Every difference between the rollups and a recount of what they should hold: its kind, what it is about, what is
-- stored and what the recount found. $1 is the zone whose days were counted, $2 how many are named. One snapshot.
WITH rolled AS NOT MATERIALIZED (
    SELECT e.*, (e.occurred_at AT TIME ZONE $1::text)::date AS day,
        {{schema}}.event_detail(e.name, e.page_path, e.properties) AS detail,
        coalesce(e.session_id, e.visitor_id, e.event_id::text) AS buyer
    FROM {{schema}}.events AS e
    WHERE e.flush NOT IN (SELECT p.flush FROM {{schema}}.rollup_pending AS p)
),
visits AS NOT MATERIALIZED (
    SELECT d.day, v.*, p.n AS number
    FROM {{schema}}.rollup_visit_days AS d
    CROSS JOIN LATERAL (
        SELECT s.visitor_id, extract(epoch FROM s.ended_at - s.started_at) AS seconds,
            coalesce(s.country, 'unknown') AS country, coalesce(s.device, 'unknown') AS device,
            coalesce(s.browser, 'unknown') AS browser, coalesce(s.utm_source, s.referrer, 'direct') AS source,
            s.utm_campaign AS campaign
        FROM {{schema}}.sessions AS s
        WHERE s.started_at >= {{schema}}.day_start(d.day, $1::text)
            AND s.started_at < {{schema}}.day_start(d.day + 1, $1::text)
    ) AS v
    LEFT JOIN {{schema}}.rollup_people AS p ON p.who = 0 AND p.id = v.visitor_id
    WHERE d.day NOT IN (
        SELECT (changed.at AT TIME ZONE $1::text)::date
        FROM {{schema}}.rollup_pending AS w CROSS JOIN LATERAL unnest(w.visits) AS changed (at)
    )
),
series AS NOT MATERIALIZED (
    SELECT s.id, concat_ws(' ', s.name, quote_nullable(s.detail)) AS what FROM {{schema}}.rollup_series AS s
    UNION ALL
    SELECT 0, 'all'
),
told AS (
    SELECT 'events' AS kind, concat_ws(' ', date_bin('15 minutes', r.occurred_at, 'epoch'), r.name, r.currency) AS what,
        concat_ws(' ', count(*), coalesce(sum(r.amount), 0)) AS n
    FROM rolled AS r
    GROUP BY 2
    UNION ALL
    SELECT 'details', concat_ws(' ', r.day, r.name, quote_nullable(r.detail)), count(*)::text
    FROM rolled AS r
    WHERE r.detail IS NOT NULL
    GROUP BY 2
    UNION ALL
    SELECT 'people', concat_ws(' ', p.who, p.day, p.what, n.n >> 11),
        md5({{schema}}.bits_of(n.n & 2047, 1)::text)
    FROM (
        SELECT DISTINCT l.who, l.id, l.what, r.day
        FROM rolled AS r CROSS JOIN LATERAL (
            VALUES (0, r.visitor_id, 'all'),
                (0, r.visitor_id, CASE WHEN r.detail IS NOT NULL THEN r.name || ' ' || quote_nullable(r.detail) END),
                (1, r.buyer, 'all'), (1, r.buyer, r.name || ' NULL')
        ) AS l (who, id, what)
        WHERE l.id IS NOT NULL AND l.what IS NOT NULL
        UNION
        SELECT 2, v.visitor_id, 'all', v.day FROM visits AS v WHERE v.visitor_id IS NOT NULL
    ) AS p
    LEFT JOIN {{schema}}.rollup_people AS n ON n.who = p.who % 2 AND n.id = p.id
    GROUP BY 2
    UNION ALL
    SELECT 'purchases', r.event_id::text, concat_ws(' ', count(*), min(concat_ws(' ', r.occurred_at, r.session_id,
        r.visitor_id, r.amount, r.currency, r.country, r.device, r.properties ->> 'order_id', r.properties ->> 'payment_method',
        r.properties -> 'items')))
    FROM rolled AS r
    WHERE r.name = 'purchase'
    GROUP BY 2
    UNION ALL
    SELECT 'visits', concat_ws(' ', v.day, l.dimension, quote_nullable(l.value), 'NULL'),
        concat_ws(' ', count(*), sum(v.seconds))
    FROM visits AS v CROSS JOIN LATERAL (
        VALUES (0, NULL), (1, v.country), (2, v.device), (3, v.browser), (4, {{schema}}.visit_span(v.seconds)::text)
    ) AS l (dimension, value)
    GROUP BY 2
    UNION ALL
    SELECT 'visits', concat_ws(' ', v.day, 5, quote_nullable(v.source), quote_nullable(v.campaign)),
        concat_ws(' ', count(*), sum(v.seconds), array_agg(DISTINCT v.number) FILTER (WHERE v.number IS NOT NULL))
    FROM visits AS v
    GROUP BY 2
),
kept AS (
    SELECT 'events' AS kind, concat_ws(' ', q.quarter, q.name, nullif(q.currency, '')) AS what,
        concat_ws(' ', q.n, q.amount) AS n
    FROM {{schema}}.rollup_quarters AS q
    UNION ALL
    SELECT 'details', concat_ws(' ', d.day, s.what), d.n::text
    FROM {{schema}}.rollup_days AS d LEFT JOIN series AS s ON s.id = d.series
    UNION ALL
    SELECT 'people', concat_ws(' ', m.who, m.day, s.what, m.chunk), md5(bit_or(m.bits)::text)
    FROM (
        SELECT b.who, b.series, b.day, b.chunk, b.bits FROM {{schema}}.rollup_bits AS b
        UNION ALL
        SELECT l.who, l.series, l.day, n.n >> 11, {{schema}}.bits_of(n.n & 2047, 1)
        FROM {{schema}}.rollup_lists AS l CROSS JOIN LATERAL unnest(l.members) AS n (n)
        GROUP BY 1, 2, 3, 4
    ) AS m
    LEFT JOIN series AS s ON s.id = m.series
    WHERE m.who < 2 OR m.day IN (SELECT v.day FROM visits AS v)
    GROUP BY 2
    UNION ALL
    SELECT 'purchases', p.event_id::text, concat_ws(' ', count(*), min(concat_ws(' ', p.occurred_at, p.session_id,
        p.visitor_id, p.amount, p.currency, p.country, p.device, p.order_id, p.method, p.items)))
    FROM {{schema}}.rollup_purchases AS p
    GROUP BY 2
    UNION ALL
    SELECT 'visits', concat_ws(' ', v.day, v.dimension, quote_nullable(v.value), quote_nullable(v.campaign)),
        concat_ws(' ', v.sessions, v.seconds, (SELECT array_agg(m.n ORDER BY m.n) FROM unnest(v.members) AS m (n)))
    FROM {{schema}}.rollup_visits AS v
    WHERE v.day IN (SELECT v.day FROM visits AS v)
    UNION ALL
    SELECT 'numbers', concat_ws(' ', p.who, p.n), count(*)::text
    FROM {{schema}}.rollup_people AS p
    GROUP BY 2
    HAVING count(*) > 1
)
SELECT kind, what, kept.n AS stored, told.n AS recounted
FROM kept FULL JOIN told USING (kind, what)
WHERE kept.n IS DISTINCT FROM told.n
ORDER BY kind, what
LIMIT $2
