-- Forgets the days before a time ($1, in a zone $2) and the one that it cuts in two, whose later events get a flush of
-- their own that is to be rolled up. Answers with the orders that were told before as well as after.
WITH kept AS MATERIALIZED (
    SELECT d.day, {{fn}}day_start(d.day, $2::text) AS starts_at
    FROM (
        SELECT c.day + ({{fn}}day_start(c.day, $2::text) < $1::timestamptz)::integer AS day
        FROM (SELECT ($1::timestamptz AT TIME ZONE $2::text)::date AS day) AS c
    ) AS d
),
again AS MATERIALIZED (
    -- Below all that are pending, and all that were adopted.
    SELECT least(
        -1, (SELECT min(p.flush) FROM {{schema}}.rollup_pending AS p), (SELECT min(e.flush) FROM {{schema}}.events AS e)
    ) - 1 AS flush
),
cut AS (
    UPDATE {{schema}}.events AS e SET flush = again.flush
    FROM again
    WHERE e.occurred_at >= $1::timestamptz AND e.occurred_at < (SELECT k.starts_at FROM kept AS k)
        AND e.flush NOT IN (SELECT p.flush FROM {{schema}}.rollup_pending AS p)
    RETURNING e.flush
),
pending AS (
    INSERT INTO {{schema}}.rollup_pending (flush, events, visits) SELECT c.flush, count(*), '{}' FROM cut AS c GROUP BY 1
),
quarters AS (DELETE FROM {{schema}}.rollup_quarters WHERE quarter < (SELECT k.starts_at FROM kept AS k)),
days AS (DELETE FROM {{schema}}.rollup_days WHERE day < (SELECT k.day FROM kept AS k)),
lists AS (DELETE FROM {{schema}}.rollup_lists WHERE day < (SELECT k.day FROM kept AS k)),
bits AS (DELETE FROM {{schema}}.rollup_bits WHERE day < (SELECT k.day FROM kept AS k)),
blocks AS (DELETE FROM {{schema}}.rollup_blocks WHERE block <= (SELECT {{fn}}block_of(k.day - 1) FROM kept AS k)),
block_bits AS (
    DELETE FROM {{schema}}.rollup_block_bits WHERE block <= (SELECT {{fn}}block_of(k.day - 1) FROM kept AS k)
),
steps AS (DELETE FROM {{schema}}.rollup_steps WHERE day < (SELECT k.day FROM kept AS k)),
purchases AS (DELETE FROM {{schema}}.rollup_purchases WHERE occurred_at < (SELECT k.starts_at FROM kept AS k)),
visits AS (DELETE FROM {{schema}}.rollup_visits WHERE day < (SELECT k.day FROM kept AS k)),
visit_days AS (DELETE FROM {{schema}}.rollup_visit_days WHERE day < (SELECT k.day FROM kept AS k))
SELECT array_agg(DISTINCT p.id)
FROM {{schema}}.rollup_purchases AS p
WHERE p.told @> (SELECT k.starts_at FROM kept AS k)
