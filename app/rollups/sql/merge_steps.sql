-- Makes one row of those that rounds left of days ($1).
WITH pieces AS MATERIALIZED (
    SELECT s.series, s.day FROM {{schema}}.rollup_steps AS s WHERE s.day = ANY ($1::date[])
    GROUP BY s.series, s.day HAVING count(*) > 1
),
taken AS (
    DELETE FROM {{schema}}.rollup_steps AS s USING pieces AS p WHERE s.series = p.series AND s.day = p.day
    RETURNING s.series, s.day, s.visitors, s.times
)
INSERT INTO {{schema}}.rollup_steps (series, day, visitors, times)
SELECT e.series, e.day, array_agg(e.visitor), array_agg(e.at)
FROM (SELECT t.series, t.day, unnest(t.visitors) AS visitor, unnest(t.times) AS at FROM taken AS t) AS e
GROUP BY e.series, e.day
