-- Gives numbers, from $3 on, to the days' ($1, in a zone $2) sessions and their visitors that have none yet.
WITH started AS MATERIALIZED (
    SELECT s.session_id, s.visitor_id
    FROM unnest($1::date[]) AS d (day)
    JOIN {{schema}}.sessions AS s
        ON s.started_at >= {{fn}}day_start(d.day, $2::text)
        AND s.started_at < {{fn}}day_start(d.day + 1, $2::text)
),
fresh AS (
    INSERT INTO {{schema}}.rollup_people (who, id, n)
    SELECT m.who, m.id, ($3::integer[])[m.who + 1] + row_number() OVER (PARTITION BY m.who)::integer - 1
    FROM (
        SELECT DISTINCT 0::smallint AS who, s.visitor_id AS id FROM started AS s WHERE s.visitor_id IS NOT NULL
        UNION ALL
        SELECT 1::smallint, s.session_id FROM started AS s
    ) AS m
    WHERE (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = m.who AND n.id = m.id) IS NULL
    RETURNING who
),
counted AS (
    SELECT count(*) FILTER (WHERE f.who = 0)::integer AS visitors, count(*) FILTER (WHERE f.who = 1)::integer AS sessions
    FROM fresh AS f
)
UPDATE {{schema}}.rollup_state AS s
SET numbers = ARRAY[s.numbers[1] + counted.visitors, s.numbers[2] + counted.sessions]
FROM counted
