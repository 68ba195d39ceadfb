-- Lists of these days ($1) that have become long are bits from now on: from about eight people per chunk, bits are read
-- sooner than numbers.
WITH grown AS (
    DELETE FROM {{schema}}.rollup_lists AS l
    WHERE cardinality(l.members) > 64
        AND l.day = ANY ($1::date[])
        AND cardinality(l.members) > 8 * (SELECT count(DISTINCT m.n >> 11) FROM unnest(l.members) AS m (n))
    RETURNING l.who, l.series, l.day, l.members
)
INSERT INTO {{schema}}.rollup_bits (who, series, day, chunk, bits)
SELECT m.who, m.series, m.day, m.n >> 11, {{fn}}bits_of(m.n & 2047, 1)
FROM (SELECT g.who, g.series, g.day, unnest(g.members) AS n FROM grown AS g) AS m
GROUP BY m.who, m.series, m.day, m.n >> 11
