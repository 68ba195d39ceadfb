-- Has every flush wait to be rolled up again. One that was committed since the last statement has its row already.
INSERT INTO {{schema}}.rollup_pending (flush, events, visits)
SELECT e.flush, count(*), '{}' FROM {{schema}}.events AS e GROUP BY e.flush
ON CONFLICT (flush) DO NOTHING
