WITH bits AS (DELETE FROM {{schema}}.rollup_bits WHERE day = ANY ($1::date[]) AND who = 2)
DELETE FROM {{schema}}.rollup_visits WHERE day = ANY ($1::date[])
