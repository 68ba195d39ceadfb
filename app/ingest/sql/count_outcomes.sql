-- Counts a flush's outcomes, and notes that the rollups do not hold its events yet.
WITH noted AS (
    INSERT INTO {{schema}}.rollup_pending (flush, events, visits)
    SELECT $1, $7::bigint, $8::timestamptz[] WHERE $7::bigint > 0
)
INSERT INTO {{schema}}.outcome_counts (flush, hour, key_id, outcome, reason, n)
SELECT $1, counted.hour, counted.key_id, counted.outcome, counted.reason, counted.n
FROM unnest($2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::bigint[])
    AS counted (hour, key_id, outcome, reason, n)
