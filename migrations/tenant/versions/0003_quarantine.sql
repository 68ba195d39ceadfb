-- `event_uuid` is the id under which the event is stored when it is replayed, if its body names no other.
ALTER TABLE {{schema}}.quarantine
    ADD COLUMN event_uuid  uuid,
    ADD COLUMN edited_at   timestamptz,
    ADD COLUMN replayed_at timestamptz;

CREATE INDEX quarantine_event_uuid ON {{schema}}.quarantine (event_uuid);

-- Repeats of ids, one row per flush and id; `conflicts` of the `n` had another body than the one that was stored.
CREATE TABLE {{schema}}.event_repeats (
    id          uuid        NOT NULL,
    flush       bigint      NOT NULL,
    received_at timestamptz NOT NULL,
    n           bigint      NOT NULL,
    conflicts   bigint      NOT NULL,
    PRIMARY KEY (id, flush)
);

CREATE INDEX event_repeats_received_at ON {{schema}}.event_repeats USING brin (received_at);

GRANT UPDATE, DELETE ON {{schema}}.quarantine TO {{writer}};
GRANT SELECT, INSERT, DELETE ON {{schema}}.event_repeats TO {{writer}};
GRANT SELECT ON {{schema}}.event_repeats TO {{reader}};
