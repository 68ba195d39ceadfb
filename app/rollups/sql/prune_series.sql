-- Forgets names and details of which nothing is counted any more.
DELETE FROM {{schema}}.rollup_series AS s
WHERE NOT EXISTS (SELECT FROM {{schema}}.rollup_days AS d WHERE d.series = s.id)
    AND NOT EXISTS (SELECT FROM {{schema}}.rollup_lists AS l WHERE l.series = s.id)
    AND NOT EXISTS (SELECT FROM {{schema}}.rollup_bits AS b WHERE b.series = s.id)
