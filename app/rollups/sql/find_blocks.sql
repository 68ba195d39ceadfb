-- Blocks of days before $1 whose days all have their sessions counted and whose sets were not made, the earliest first.
SELECT c.block
FROM (
    SELECT {{fn}}block_of(v.day) AS block FROM {{schema}}.rollup_visit_days AS v WHERE v.day < $1::date
    GROUP BY 1 HAVING count(*) = {{fn}}block_days()
) AS c
WHERE NOT EXISTS (SELECT FROM {{schema}}.rollup_blocks AS k WHERE k.block = c.block AND k.who = 4 AND k.series = 0)
ORDER BY c.block
LIMIT $2
