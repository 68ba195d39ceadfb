-- Who does not know of flushes, a process of an older release, stores events of flush -1. That flush is pending for ever,
-- so every answer counts its events; a worker gives them a flush that can be counted, and may change nothing else of them.
ALTER TABLE {{schema}}.events ALTER COLUMN flush SET DEFAULT -1;

INSERT INTO {{schema}}.rollup_pending (flush, events, visits) VALUES (-1, 0, '{}');

GRANT UPDATE (flush) ON {{schema}}.events TO {{writer}};
