-- Forgets names, details and sources of which nothing is counted any more.
WITH sources AS (
    DELETE FROM {{schema}}.rollup_sources AS s
    WHERE NOT EXISTS (SELECT FROM {{schema}}.rollup_visits AS v WHERE v.source = s.id)
)
DELETE FROM {{schema}}.rollup_series AS s
WHERE NOT EXISTS (SELECT FROM {{schema}}.rollup_days AS d WHERE d.series = s.id)
    AND NOT EXISTS (SELECT FROM {{schema}}.rollup_steps AS t WHERE t.series = s.id)
    AND NOT EXISTS (SELECT FROM {{schema}}.rollup_lists AS l WHERE l.series = s.id AND l.who < 2)
    AND NOT EXISTS (SELECT FROM {{schema}}.rollup_bits AS b WHERE b.series = s.id AND b.who < 2)
