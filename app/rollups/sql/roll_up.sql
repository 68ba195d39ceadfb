-- Adds the events of flushes ($1) to the rollups of a client whose days are those of a zone ($2) and whose next numbers
-- are $3. Answers with how many visitors and sessions got a number, the events' days, and the orders that were told before.
-- The caller holds the lock on rollup_state.
WITH batch AS MATERIALIZED (
    SELECT date_bin('15 minutes', e.occurred_at, 'epoch') AS quarter,
        (e.occurred_at AT TIME ZONE $2::text)::date AS day, e.name,
        {{fn}}event_detail(e.name, e.page_path, e.properties) AS detail, e.visitor_id, e.session_id,
        coalesce(e.currency, '') AS currency, e.amount, e.occurred_at
    FROM {{schema}}.events AS e
    WHERE e.flush = ANY ($1::bigint[])
),
met AS MATERIALIZED (
    SELECT DISTINCT 0::smallint AS who, b.visitor_id AS id FROM batch AS b WHERE b.visitor_id IS NOT NULL
    UNION ALL
    SELECT DISTINCT 1::smallint, b.session_id FROM batch AS b WHERE b.session_id IS NOT NULL
),
known AS MATERIALIZED (
    -- A subquery, because a join would read all people there are.
    SELECT m.who, m.id, (SELECT p.n FROM {{schema}}.rollup_people AS p WHERE p.who = m.who AND p.id = m.id) AS n
    FROM met AS m
),
numbered AS MATERIALIZED (
    SELECT k.who, k.id, k.n, false AS fresh FROM known AS k WHERE k.n IS NOT NULL
    UNION ALL
    SELECT k.who, k.id, ($3::integer[])[k.who + 1] + row_number() OVER (PARTITION BY k.who)::integer - 1, true
    FROM known AS k
    WHERE k.n IS NULL
),
people AS (
    INSERT INTO {{schema}}.rollup_people (who, id, n) SELECT m.who, m.id, m.n FROM numbered AS m WHERE m.fresh
),
kinds AS MATERIALIZED (
    SELECT b.name, b.detail FROM batch AS b GROUP BY b.name, b.detail
),
old_series AS MATERIALIZED (
    SELECT k.name, k.detail, (
        SELECT s.id FROM {{schema}}.rollup_series AS s WHERE s.name = k.name AND md5(s.detail) = md5(k.detail)
    ) AS id
    FROM kinds AS k WHERE k.detail IS NOT NULL
    UNION ALL
    SELECT k.name, NULL, (
        SELECT s.id FROM {{schema}}.rollup_series AS s WHERE s.name = k.name AND md5(s.detail) IS NULL
    )
    FROM (SELECT DISTINCT k.name FROM kinds AS k) AS k
),
new_series AS (
    INSERT INTO {{schema}}.rollup_series (name, detail)
    SELECT o.name, o.detail FROM old_series AS o WHERE o.id IS NULL
    RETURNING id, name, detail
),
series AS MATERIALIZED (
    SELECT o.name, o.detail, o.id FROM old_series AS o WHERE o.id IS NOT NULL
    UNION ALL
    SELECT n.name, n.detail, n.id FROM new_series AS n
),
counted_as AS MATERIALIZED (
    SELECT k.name, k.detail, plain.id AS plain, detailed.id AS detailed
    FROM kinds AS k
    JOIN series AS plain ON plain.name = k.name AND plain.detail IS NULL
    LEFT JOIN series AS detailed ON detailed.name = k.name AND detailed.detail = k.detail
),
rows AS MATERIALIZED (
    -- Outer joins, and groups of one, so that the planner hashes people and not the batch.
    SELECT b.day, b.occurred_at, k.plain, k.detailed, visitors.n AS visitor, sessions.n AS session
    FROM batch AS b
    LEFT JOIN counted_as AS k ON k.name = b.name AND coalesce(k.detail, '') = coalesce(b.detail, '')
        AND (k.detail IS NULL) = (b.detail IS NULL)
    LEFT JOIN (SELECT m.id, min(m.n) AS n FROM numbered AS m WHERE m.who = 0 GROUP BY m.id) AS visitors ON visitors.id = b.visitor_id
    LEFT JOIN (SELECT m.id, min(m.n) AS n FROM numbered AS m WHERE m.who = 1 GROUP BY m.id) AS sessions ON sessions.id = b.session_id
),
by_quarter AS MATERIALIZED (
    SELECT b.quarter, b.day, b.name, b.currency, count(*) AS n, coalesce(sum(b.amount), 0) AS amount
    FROM batch AS b
    GROUP BY b.quarter, b.day, b.name, b.currency
),
quarters AS (
    INSERT INTO {{schema}}.rollup_quarters AS kept (quarter, name, currency, n, amount)
    SELECT q.quarter, q.name, q.currency, q.n, q.amount FROM by_quarter AS q
    ON CONFLICT (quarter, name, currency)
        DO UPDATE SET n = kept.n + excluded.n, amount = kept.amount + excluded.amount
),
days AS (
    INSERT INTO {{schema}}.rollup_days AS kept (series, day, n)
    SELECT r.detailed, r.day, count(*) FROM rows AS r WHERE r.detailed IS NOT NULL GROUP BY r.detailed, r.day
    UNION ALL
    SELECT s.id, q.day, sum(q.n) FROM by_quarter AS q JOIN series AS s ON s.name = q.name AND s.detail IS NULL
    GROUP BY s.id, q.day
    ON CONFLICT (day, series) DO UPDATE SET n = kept.n + excluded.n
),
sets AS MATERIALIZED (
    SELECT s.who, s.series, s.day, array_agg(s.n) AS members,
        EXISTS (
            SELECT FROM {{schema}}.rollup_bits AS b WHERE b.who = s.who AND b.series = s.series AND b.day = s.day
        ) AS dense
    FROM (
        SELECT DISTINCT 0::smallint AS who, 0 AS series, r.day, r.visitor AS n
        FROM rows AS r WHERE r.visitor IS NOT NULL
        UNION ALL
        SELECT DISTINCT 0::smallint, r.detailed, r.day, r.visitor
        FROM rows AS r WHERE r.visitor IS NOT NULL AND r.detailed IS NOT NULL
        UNION ALL
        SELECT DISTINCT 1::smallint, r.plain, r.day, r.session FROM rows AS r WHERE r.session IS NOT NULL
    ) AS s
    GROUP BY s.who, s.series, s.day
),
bits AS (
    INSERT INTO {{schema}}.rollup_bits AS kept (who, series, day, chunk, bits)
    SELECT m.who, m.series, m.day, m.n >> 11, {{fn}}bits_of(m.n & 2047, 1)
    FROM (SELECT s.who, s.series, s.day, unnest(s.members) AS n FROM sets AS s WHERE s.dense) AS m
    GROUP BY m.who, m.series, m.day, m.n >> 11
    ON CONFLICT (day, who, series, chunk) DO UPDATE SET bits = kept.bits | excluded.bits
),
lists AS (
    INSERT INTO {{schema}}.rollup_lists AS kept (who, series, day, members)
    SELECT s.who, s.series, s.day, s.members FROM sets AS s WHERE NOT s.dense
    ON CONFLICT (day, who, series) DO UPDATE
        SET members = ARRAY(SELECT unnest(kept.members) UNION SELECT unnest(excluded.members))
),
steps AS (
    INSERT INTO {{schema}}.rollup_steps (series, day, events)
    SELECT r.plain, r.day, string_agg(int4send(r.visitor) || timestamptz_send(r.occurred_at), '')
    FROM rows AS r WHERE r.visitor IS NOT NULL
    GROUP BY r.plain, r.day
),
blocks AS (
    INSERT INTO {{schema}}.rollup_block_bits AS kept (who, series, block, quad, bits)
    SELECT m.who, m.series, m.block, m.chunk >> 2, {{fn}}quad_of(m.bits, 1 + 2048 * (m.chunk & 3))
    FROM (
        SELECT late.who, late.series, late.block, late.n >> 11 AS chunk, {{fn}}bits_of(late.n & 2047, 1) AS bits
        FROM (
            SELECT s.who, s.series, k.block, unnest(s.members) AS n
            FROM sets AS s
            JOIN {{schema}}.rollup_blocks AS k
                ON k.block = {{fn}}block_of(s.day) AND k.who = s.who AND k.series = s.series
        ) AS late
        GROUP BY late.who, late.series, late.block, late.n >> 11
    ) AS m
    GROUP BY m.who, m.series, m.block, m.chunk >> 2
    ON CONFLICT (block, who, series, quad) DO UPDATE SET bits = kept.bits | excluded.bits
),
told AS MATERIALIZED (
    SELECT {{fn}}order_key(e.event_id, e.properties) AS id, e.event_id, e.occurred_at, e.session_id, e.amount,
        e.currency, e.country, e.device, e.properties
    FROM {{schema}}.events AS e
    WHERE e.flush = ANY ($1::bigint[]) AND e.name = 'purchase'
),
purchases AS (
    INSERT INTO {{schema}}.rollup_purchases (
        id, event_id, occurred_at, session_id, session, amount, currency, country, device, order_id, method,
        products, units, prices
    )
    SELECT t.id, t.event_id, t.occurred_at, t.session_id, m.n, t.amount, t.currency, t.country, t.device,
        t.properties ->> 'order_id', t.properties ->> 'payment_method', i.products, i.units, i.prices
    FROM told AS t
    LEFT JOIN numbered AS m ON m.who = 1 AND m.id = t.session_id
    CROSS JOIN LATERAL (
        SELECT array_agg(i.product) AS products, array_agg(i.units) AS units, array_agg(i.price) AS prices
        FROM {{fn}}order_items(t.properties -> 'items') AS i
    ) AS i
)
SELECT count(*) FILTER (WHERE m.who = 0) AS visitors, count(*) FILTER (WHERE m.who = 1) AS sessions,
    ARRAY(SELECT DISTINCT q.day FROM by_quarter AS q) AS days,
    ARRAY(
        SELECT t.id FROM told AS t GROUP BY t.id
        HAVING count(*) > 1 OR (SELECT true FROM {{schema}}.rollup_purchases AS p WHERE p.id = t.id LIMIT 1)
    ) AS told_again
FROM numbered AS m
WHERE m.fresh
