-- Gives numbers, from $3 on, to visitors of the days' ($1, in a zone $2) sessions that have none; answers how many.
WITH fresh AS (
    INSERT INTO {{schema}}.rollup_people (who, id, n)
    SELECT 0, m.id, $3::integer + row_number() OVER () - 1
    FROM (
        SELECT DISTINCT s.visitor_id AS id
        FROM unnest($1::date[]) AS d (day)
        JOIN {{schema}}.sessions AS s
            ON s.started_at >= {{schema}}.day_start(d.day, $2::text)
            AND s.started_at < {{schema}}.day_start(d.day + 1, $2::text)
        WHERE s.visitor_id IS NOT NULL
    ) AS m
    WHERE NOT EXISTS (SELECT FROM {{schema}}.rollup_people AS p WHERE p.who = 0 AND p.id = m.id)
    RETURNING n
),
counted AS (SELECT count(*)::integer AS n FROM fresh)
UPDATE {{schema}}.rollup_state AS s SET numbers[1] = s.numbers[1] + counted.n FROM counted
