-- Makes the sets of whole blocks ($1) from those of their days, where there are enough people for bits to be read sooner
-- than lists, and of all visitors: of those by detail, if they were not made before, and of visitors by source.
WITH wanted AS MATERIALIZED (
    SELECT b.block, w.who::smallint AS who
    FROM unnest($1::integer[]) AS b (block) CROSS JOIN (VALUES (0), (4)) AS w (who)
    WHERE NOT EXISTS (
        SELECT FROM {{schema}}.rollup_blocks AS k WHERE k.block = b.block AND k.who = w.who AND k.series = 0
    )
),
days AS MATERIALIZED (
    SELECT w.who, w.block, '0001-01-01'::date + w.block * {{fn}}block_days() + n.n AS day
    FROM wanted AS w CROSS JOIN generate_series(0, {{fn}}block_days() - 1) AS n (n)
),
pieces AS (
    SELECT b.who, b.series, d.block, b.chunk, b.bits
    FROM days AS d JOIN {{schema}}.rollup_bits AS b ON b.day = d.day AND b.who = d.who
    UNION ALL
    SELECT m.who, m.series, m.block, m.n >> 11, {{fn}}bits_of(m.n & 2047, 1)
    FROM (
        SELECT l.who, l.series, d.block, unnest(l.members) AS n
        FROM days AS d JOIN {{schema}}.rollup_lists AS l ON l.day = d.day AND l.who = d.who
    ) AS m
    GROUP BY 1, 2, 3, 4
),
sets AS MATERIALIZED (
    SELECT p.who, p.series, p.block, p.chunk, bit_or(p.bits) AS bits
    FROM pieces AS p
    GROUP BY p.who, p.series, p.block, p.chunk
),
made AS MATERIALIZED (
    SELECT s.who, s.series, s.block FROM sets AS s GROUP BY s.who, s.series, s.block
    HAVING s.series = 0 OR sum(bit_count(s.bits)) > greatest(64, 6 * count(*))
),
bits AS (
    INSERT INTO {{schema}}.rollup_block_bits (who, series, block, quad, bits)
    SELECT s.who, s.series, s.block, s.chunk >> 2, {{fn}}quad_of(s.bits, 1 + 2048 * (s.chunk & 3))
    FROM sets AS s JOIN made USING (who, series, block)
    GROUP BY s.who, s.series, s.block, s.chunk >> 2
)
INSERT INTO {{schema}}.rollup_blocks (who, series, block)
SELECT m.who, m.series, m.block FROM made AS m
UNION
SELECT w.who, 0, w.block FROM wanted AS w
