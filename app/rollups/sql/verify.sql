-- Every difference between the rollups and a recount of what they should hold: its kind, what it is about, what is
-- stored and what the recount found. $1 is the zone whose days were counted, $2 how many are named. One snapshot.
WITH rolled AS NOT MATERIALIZED (
    SELECT e.*, (e.occurred_at AT TIME ZONE $1::text)::date AS day,
        {{fn}}event_detail(e.name, e.page_path, e.properties) AS detail
    FROM {{schema}}.events AS e
    WHERE e.flush NOT IN (SELECT p.flush FROM {{schema}}.rollup_pending AS p)
),
visits AS NOT MATERIALIZED (
    SELECT d.day, d.by_channel, v.*
    FROM {{schema}}.rollup_visit_days AS d
    CROSS JOIN LATERAL (
        SELECT s.session_id, s.visitor_id, extract(epoch FROM s.ended_at - s.started_at) AS seconds,
            coalesce(s.utm_source, s.referrer, 'direct') AS source, s.utm_campaign AS campaign, s AS told
        FROM {{schema}}.sessions AS s
        WHERE s.started_at >= {{fn}}day_start(d.day, $1::text)
            AND s.started_at < {{fn}}day_start(d.day + 1, $1::text)
    ) AS v
    WHERE d.day NOT IN (
        SELECT (changed.at AT TIME ZONE $1::text)::date
        FROM {{schema}}.rollup_pending AS w CROSS JOIN LATERAL unnest(w.visits) AS changed (at)
    )
),
series AS NOT MATERIALIZED (
    SELECT w.who, s.id, concat_ws(' ', s.name, quote_nullable(s.detail)) AS what
    FROM {{schema}}.rollup_series AS s CROSS JOIN (VALUES (0), (1)) AS w (who)
    UNION ALL
    SELECT w.who, 0, 'all' FROM (VALUES (0), (2), (3)) AS w (who)
    UNION ALL
    SELECT 4, s.id, concat_ws(' ', quote_nullable(s.source), quote_nullable(s.campaign))
    FROM {{schema}}.rollup_sources AS s
),
sets AS NOT MATERIALIZED (
    SELECT b.who, b.series, b.day, b.chunk, b.bits FROM {{schema}}.rollup_bits AS b
    UNION ALL
    SELECT l.who, l.series, l.day, n.n >> 11, {{fn}}bits_of(n.n & 2047, 1)
    FROM {{schema}}.rollup_lists AS l CROSS JOIN LATERAL unnest(l.members) AS n (n)
    GROUP BY 1, 2, 3, 4
),
orders AS NOT MATERIALIZED (
    SELECT r.*, {{fn}}order_key(r.event_id, r.properties) AS id FROM rolled AS r WHERE r.name = 'purchase'
),
told AS (
    SELECT 'events' AS kind, concat_ws(' ', date_bin('15 minutes', r.occurred_at, 'epoch'), r.name, r.currency) AS what,
        concat_ws(' ', count(*), coalesce(sum(r.amount), 0)) AS n
    FROM rolled AS r
    GROUP BY 2
    UNION ALL
    SELECT 'details', concat_ws(' ', r.day, r.name, quote_nullable(l.detail)), count(*)::text
    FROM rolled AS r CROSS JOIN LATERAL (
        SELECT NULL AS detail UNION ALL SELECT r.detail WHERE r.detail IS NOT NULL
    ) AS l
    GROUP BY 2
    UNION ALL
    SELECT 'people', concat_ws(' ', p.who, p.day, p.what, n.n >> 11),
        md5({{fn}}bits_of(n.n & 2047, 1)::text)
    FROM (
        SELECT DISTINCT l.who, l.id, l.what, r.day
        FROM rolled AS r CROSS JOIN LATERAL (
            VALUES (0, r.visitor_id, 'all'),
                (0, r.visitor_id, CASE WHEN r.detail IS NOT NULL THEN r.name || ' ' || quote_nullable(r.detail) END),
                (1, r.session_id, r.name || ' NULL')
        ) AS l (who, id, what)
        WHERE l.id IS NOT NULL AND l.what IS NOT NULL
        UNION
        SELECT 2, v.visitor_id, 'all', v.day FROM visits AS v WHERE v.visitor_id IS NOT NULL
        UNION
        SELECT 3, v.session_id, 'all', v.day FROM visits AS v
        UNION
        SELECT 4, v.visitor_id, concat_ws(' ', quote_nullable(v.source), quote_nullable(v.campaign)), v.day
        FROM visits AS v WHERE v.visitor_id IS NOT NULL
    ) AS p
    LEFT JOIN {{schema}}.rollup_people AS n ON n.who = p.who % 2 AND n.id = p.id
    GROUP BY 2
    UNION ALL
    SELECT 'steps', concat_ws(' ', r.day, r.name, 'NULL'), md5(string_agg(e.event, '' ORDER BY e.event))
    FROM rolled AS r JOIN {{schema}}.rollup_people AS n ON n.who = 0 AND n.id = r.visitor_id
    CROSS JOIN LATERAL (SELECT int4send(n.n) || timestamptz_send(r.occurred_at) AS event) AS e
    GROUP BY 2
    UNION ALL
    SELECT 'purchases', o.event_id::text, concat_ws(' ', o.id, o.occurred_at, o.session_id,
        (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 1 AND n.id = o.session_id), o.amount, o.currency, o.country, o.device, o.properties ->> 'order_id',
        o.properties ->> 'payment_method', (
            SELECT concat_ws(' ', array_agg(i.product), array_agg(i.units), array_agg(i.price))
            FROM {{fn}}order_items(o.properties -> 'items') AS i
        ), o.place = 1, CASE WHEN o.times > 1
            THEN concat_ws(' ', tstzrange(o.first_at, o.last_at, '[]'), o.buyer_id, (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 1 AND n.id = o.buyer_id))
        END)
    FROM (
        SELECT t.*, count(*) OVER same AS times, min(t.occurred_at) OVER same AS first_at,
            max(t.occurred_at) OVER same AS last_at, min(t.session_id) OVER same AS buyer_id,
            row_number() OVER (PARTITION BY t.id ORDER BY t.amount IS NULL, t.occurred_at, t.event_id) AS place
        FROM orders AS t WINDOW same AS (PARTITION BY t.id)
    ) AS o
    UNION ALL
    SELECT 'visits', concat_ws(' ', v.day, l.dimension, quote_nullable(l.value), 'NULL'),
        concat_ws(' ', count(*), sum(v.seconds), count(*) FILTER (WHERE v.by_channel AND (v.told).page_views = 1 AND l.dimension <> 4))
    FROM visits AS v CROSS JOIN LATERAL (
        SELECT t.dimension, t.value FROM {{fn}}visit_traits(v.told) AS t WHERE t.dimension < 6 OR v.by_channel
        UNION ALL
        SELECT 4, {{fn}}visit_span(v.seconds)::text
    ) AS l
    GROUP BY 2
    UNION ALL
    SELECT 'visits', concat_ws(' ', v.day, 5, quote_nullable(v.source), quote_nullable(v.campaign)),
        concat_ws(' ', count(*), sum(v.seconds))
    FROM visits AS v
    GROUP BY 2
    UNION ALL
    SELECT 'blocks', concat_ws(' ', k.who, k.block, s.what, d.chunk), md5(bit_or(d.bits)::text)
    FROM {{schema}}.rollup_blocks AS k
    JOIN sets AS d ON d.who = k.who AND d.series = k.series AND {{fn}}block_of(d.day) = k.block
    LEFT JOIN series AS s ON s.who = k.who AND s.id = k.series
    GROUP BY 2
),
kept AS (
    SELECT 'events' AS kind, concat_ws(' ', q.quarter, q.name, nullif(q.currency, '')) AS what,
        concat_ws(' ', q.n, q.amount) AS n
    FROM {{schema}}.rollup_quarters AS q
    UNION ALL
    SELECT 'details', concat_ws(' ', d.day, s.what), d.n::text
    FROM {{schema}}.rollup_days AS d LEFT JOIN series AS s ON s.who = 0 AND s.id = d.series
    UNION ALL
    SELECT 'people', concat_ws(' ', m.who, m.day, s.what, m.chunk), md5(bit_or(m.bits)::text)
    FROM sets AS m LEFT JOIN series AS s ON s.who = m.who AND s.id = m.series
    WHERE m.who < 2 OR m.day IN (SELECT v.day FROM visits AS v)
    GROUP BY 2
    UNION ALL
    SELECT 'steps', concat_ws(' ', e.day, s.what), md5(string_agg(e.event, '' ORDER BY e.event))
    FROM (
        SELECT t.series, t.day, substring(t.events FROM 1 + 12 * generate_series(0, length(t.events) / 12 - 1) FOR 12) AS event
        FROM (SELECT p.series, p.day, p.events || '' AS events FROM {{schema}}.rollup_steps AS p OFFSET 0) AS t
    ) AS e
    LEFT JOIN series AS s ON s.who = 0 AND s.id = e.series
    GROUP BY 2
    UNION ALL
    SELECT 'purchases', p.event_id::text, concat_ws(' ', p.id, p.occurred_at, p.session_id, p.session, p.amount,
        p.currency, p.country, p.device, p.order_id, p.method, concat_ws(' ', p.products, p.units, p.prices), p.counts, CASE WHEN p.told IS NOT NULL
            THEN concat_ws(' ', p.told, p.buyer_id, p.buyer)
        END)
    FROM {{schema}}.rollup_purchases AS p
    UNION ALL
    SELECT 'visits', concat_ws(' ', v.day, v.dimension, CASE v.dimension WHEN 5 THEN s.what
            ELSE concat_ws(' ', quote_nullable(v.value), 'NULL') END),
        concat_ws(' ', v.sessions, v.seconds, CASE WHEN v.dimension <> 5 THEN coalesce(v.bounces, 0) END)
    FROM {{schema}}.rollup_visits AS v LEFT JOIN series AS s ON s.who = 4 AND s.id = v.source
    WHERE v.day IN (SELECT v.day FROM visits AS v)
    UNION ALL
    SELECT 'blocks', concat_ws(' ', b.who, b.block, s.what, 4 * b.quad + c.n), md5(c.bits::text)
    FROM {{schema}}.rollup_block_bits AS b
    CROSS JOIN LATERAL (
        SELECT g.n, substring(b.bits FROM 1 + 2048 * g.n FOR 2048) AS bits FROM (VALUES (0), (1), (2), (3)) AS g (n)
    ) AS c
    LEFT JOIN series AS s ON s.who = b.who AND s.id = b.series
    WHERE bit_count(c.bits) > 0
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
