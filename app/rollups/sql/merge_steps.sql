-- Makes one row of those that rounds left of days ($1).
WITH pieces AS MATERIALIZED (
    SELECT s.series, s.day FROM {{schema}}.rollup_steps AS s WHERE s.day = ANY ($1::date[])
    GROUP BY s.series, s.day HAVING count(*) > 1
),
taken AS (
    DELETE FROM {{schema}}.rollup_steps AS s USING pieces AS p WHERE s.series = p.series AND s.day = p.day
    RETURNING s.series, s.day, s.events
)
INSERT INTO {{schema}}.rollup_steps (series, day, events)
SELECT t.series, t.day, string_agg(t.events, '') FROM taken AS t GROUP BY t.series, t.day
