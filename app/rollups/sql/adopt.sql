-- Gives events of flush -1, which a process of an older release stored, a flush below all that there are and all that are
-- pending, of which the events may be gone. That process may have moved the beginning of their sessions, so all days that
-- these touch are to be counted anew.
WITH new AS (
    SELECT least(
        (SELECT min(p.flush) FROM {{schema}}.rollup_pending AS p), (SELECT min(e.flush) FROM {{schema}}.events AS e)
    ) - 1 AS flush
),
adopted AS (
    UPDATE {{schema}}.events AS e SET flush = new.flush FROM new WHERE e.flush = -1 RETURNING e.session_id
),
touched AS (
    SELECT array_agg(DISTINCT date_bin('15 minutes', visits.at, 'epoch')) AS quarters
    FROM (SELECT DISTINCT a.session_id FROM adopted AS a) AS a
    JOIN {{schema}}.sessions AS s USING (session_id)
    CROSS JOIN LATERAL (
        SELECT generate_series(s.started_at, s.ended_at, '1 day') AS at UNION ALL SELECT s.ended_at
    ) AS visits
)
INSERT INTO {{schema}}.rollup_pending (flush, events, visits)
SELECT new.flush, (SELECT count(*) FROM adopted), coalesce(touched.quarters, '{}')
FROM new CROSS JOIN touched
WHERE EXISTS (SELECT FROM adopted)
