-- Forgets all that was counted.
WITH quarters AS (DELETE FROM {{schema}}.rollup_quarters),
days AS (DELETE FROM {{schema}}.rollup_days),
lists AS (DELETE FROM {{schema}}.rollup_lists),
bits AS (DELETE FROM {{schema}}.rollup_bits),
blocks AS (DELETE FROM {{schema}}.rollup_blocks),
block_bits AS (DELETE FROM {{schema}}.rollup_block_bits),
steps AS (DELETE FROM {{schema}}.rollup_steps),
purchases AS (DELETE FROM {{schema}}.rollup_purchases),
visits AS (DELETE FROM {{schema}}.rollup_visits),
visit_days AS (DELETE FROM {{schema}}.rollup_visit_days),
series AS (DELETE FROM {{schema}}.rollup_series),
sources AS (DELETE FROM {{schema}}.rollup_sources),
people AS (DELETE FROM {{schema}}.rollup_people)
UPDATE {{schema}}.rollup_state SET zone = $1, numbers = '{0,0}'
