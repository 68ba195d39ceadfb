-- The flushes ($1) are in the rollups now; the days in which their sessions changed are to be counted anew.
WITH done AS (
    DELETE FROM {{schema}}.rollup_pending WHERE flush = ANY ($1::bigint[])
),
changed AS (
    DELETE FROM {{schema}}.rollup_visit_days AS c
    USING unnest($2::timestamptz[]) AS visits (at)
    WHERE c.day = (visits.at AT TIME ZONE $3::text)::date
)
UPDATE {{schema}}.rollup_state SET numbers = ARRAY[numbers[1] + $4::integer, numbers[2] + $5::integer]
