-- Answers with the number of ids that were new; which they are need only be asked if some were not.
WITH claimed AS (
    INSERT INTO {{schema}}.event_ids (id, digest, flush, received_day)
    SELECT given.id, given.digest, $3, $4
    FROM unnest($1::uuid[], $2::bigint[]) AS given (id, digest)
    ON CONFLICT (id) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM claimed
