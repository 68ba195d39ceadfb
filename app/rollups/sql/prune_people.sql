-- Takes the numbers of those who are in no set any more; nobody else will get them.
WITH there AS (
    SELECT b.who % 2 AS who, b.chunk, b.bits FROM {{schema}}.rollup_bits AS b
    UNION ALL
    SELECT m.who, m.n >> 11, {{fn}}bits_of(m.n & 2047, 1)
    FROM (
        SELECT l.who % 2 AS who, unnest(l.members) AS n FROM {{schema}}.rollup_lists AS l
        UNION ALL
        SELECT 1, p.session FROM {{schema}}.rollup_purchases AS p WHERE p.session IS NOT NULL
    ) AS m
    GROUP BY 1, 2
),
living AS MATERIALIZED (
    SELECT t.who, t.chunk, bit_or(t.bits) AS bits FROM there AS t GROUP BY t.who, t.chunk
)
DELETE FROM {{schema}}.rollup_people AS p
WHERE NOT EXISTS (
    SELECT FROM living AS l WHERE l.who = p.who AND l.chunk = p.n >> 11 AND get_bit(l.bits, p.n & 2047) = 1
)
