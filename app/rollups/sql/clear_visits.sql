-- Forgets what was counted of the sessions of days ($1).
WITH bits AS (DELETE FROM {{schema}}.rollup_bits WHERE day = ANY ($1::date[]) AND who >= 2),
lists AS (DELETE FROM {{schema}}.rollup_lists WHERE day = ANY ($1::date[]) AND who >= 2),
of_blocks AS MATERIALIZED (SELECT DISTINCT {{fn}}block_of(d.day) AS block FROM unnest($1::date[]) AS d (day)),
blocks AS (DELETE FROM {{schema}}.rollup_blocks WHERE who = 4 AND block IN (SELECT b.block FROM of_blocks AS b)),
block_bits AS (DELETE FROM {{schema}}.rollup_block_bits WHERE who = 4 AND block IN (SELECT b.block FROM of_blocks AS b))
DELETE FROM {{schema}}.rollup_visits WHERE day = ANY ($1::date[])
