-- Adds the events of flushes ($1) to the rollups of a client whose days are those of a zone ($2) and whose next numbers
-- are $3. Answers with how many visitors and buyers got a number, and the events' days. The caller holds the lock on rollup_state.
WITH batch AS MATERIALIZED (
    SELECT e.event_id, e.occurred_at, date_bin('15 minutes', e.occurred_at, 'epoch') AS quarter,
        (e.occurred_at AT TIME ZONE $2::text)::date AS day, e.name,
        {{schema}}.event_detail(e.name, e.page_path, e.properties) AS detail, e.visitor_id,
        coalesce(e.session_id, e.visitor_id, e.event_id::text) AS buyer, coalesce(e.currency, '') AS currency, e.amount
    FROM {{schema}}.events AS e
    WHERE e.flush = ANY ($1::bigint[])
),
met AS MATERIALIZED (
    SELECT DISTINCT 0::smallint AS who, b.visitor_id AS id FROM batch AS b WHERE b.visitor_id IS NOT NULL
    UNION ALL
    SELECT DISTINCT 1::smallint, b.buyer FROM batch AS b
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
old_series AS MATERIALIZED (
    SELECT k.name, k.detail, (
        SELECT s.id FROM {{schema}}.rollup_series AS s WHERE s.name = k.name AND md5(s.detail) = md5(k.detail)
    ) AS id
    FROM (SELECT b.name, b.detail FROM batch AS b WHERE b.detail IS NOT NULL GROUP BY b.name, b.detail) AS k
    UNION ALL
    SELECT k.name, NULL, (
        SELECT s.id FROM {{schema}}.rollup_series AS s WHERE s.name = k.name AND md5(s.detail) IS NULL
    )
    FROM (SELECT b.name FROM batch AS b GROUP BY b.name) AS k
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
rows AS MATERIALIZED (
    SELECT b.day, plain.id AS plain, detailed.id AS detailed, visitors.n AS visitor, buyers.n AS buyer
    FROM batch AS b
    JOIN (SELECT s.name, s.id FROM series AS s WHERE s.detail IS NULL) AS plain ON plain.name = b.name
    LEFT JOIN (SELECT s.name, s.detail, s.id FROM series AS s WHERE s.detail IS NOT NULL) AS detailed
        ON detailed.name = b.name AND detailed.detail = b.detail
    LEFT JOIN (SELECT m.id, m.n FROM numbered AS m WHERE m.who = 0) AS visitors ON visitors.id = b.visitor_id
    JOIN (SELECT m.id, m.n FROM numbered AS m WHERE m.who = 1) AS buyers ON buyers.id = b.buyer
),
quarters AS (
    INSERT INTO {{schema}}.rollup_quarters AS kept (quarter, name, currency, n, amount)
    SELECT b.quarter, b.name, b.currency, count(*), coalesce(sum(b.amount), 0)
    FROM batch AS b
    GROUP BY b.quarter, b.name, b.currency
    ON CONFLICT (quarter, name, currency)
        DO UPDATE SET n = kept.n + excluded.n, amount = kept.amount + excluded.amount
),
days AS (
    INSERT INTO {{schema}}.rollup_days AS kept (series, day, n)
    SELECT r.detailed, r.day, count(*) FROM rows AS r WHERE r.detailed IS NOT NULL GROUP BY r.detailed, r.day
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
        SELECT DISTINCT 1::smallint, 0, r.day, r.buyer FROM rows AS r
        UNION ALL
        SELECT DISTINCT 1::smallint, r.plain, r.day, r.buyer FROM rows AS r
    ) AS s
    GROUP BY s.who, s.series, s.day
),
bits AS (
    INSERT INTO {{schema}}.rollup_bits AS kept (who, series, day, chunk, bits)
    SELECT m.who, m.series, m.day, m.n >> 11, {{schema}}.bits_of(m.n & 2047, 1)
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
purchases AS (
    INSERT INTO {{schema}}.rollup_purchases (
        event_id, occurred_at, session_id, visitor_id, amount, currency, country, device, order_id, method, items
    )
    SELECT e.event_id, e.occurred_at, e.session_id, e.visitor_id, e.amount, e.currency, e.country, e.device,
        e.properties ->> 'order_id', e.properties ->> 'payment_method', e.properties -> 'items'
    FROM {{schema}}.events AS e
    WHERE e.flush = ANY ($1::bigint[]) AND e.name = 'purchase'
)
SELECT count(*) FILTER (WHERE m.who = 0) AS visitors, count(*) FILTER (WHERE m.who = 1) AS buyers,
    (SELECT array_agg(DISTINCT b.day) FROM batch AS b) AS days
FROM numbered AS m
WHERE m.fresh
