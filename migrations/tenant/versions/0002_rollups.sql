-- What is counted beforehand. Nothing here is more than a recount of `events` and `sessions` would tell.

-- Which flush stored an event: the events of pending flushes are what the rollups do not hold yet.
ALTER TABLE {{schema}}.events ADD COLUMN flush bigint NOT NULL DEFAULT 0;
CREATE INDEX events_flush ON {{schema}}.events (flush);

-- A late event must not widen the summary of its neighbours, and new pages are summarised without waiting for a vacuum.
DROP INDEX {{schema}}.events_occurred_at;
CREATE INDEX events_occurred_at ON {{schema}}.events
    USING brin (occurred_at timestamptz_minmax_multi_ops) WITH (autosummarize = on, pages_per_range = 32);

-- Where a session started before its last event came: an earlier event may move its start to another day, and then both
-- are counted anew.
ALTER TABLE {{schema}}.sessions ADD COLUMN started_before timestamptz;

-- One row per flush that the rollups do not hold yet; `visits` lists quarters of an hour in whose days sessions changed.
CREATE TABLE {{schema}}.rollup_pending (
    flush  bigint        PRIMARY KEY,
    events bigint        NOT NULL,
    visits timestamptz[] NOT NULL
);

INSERT INTO {{schema}}.rollup_pending (flush, events, visits)
SELECT 0, count(*), '{}' FROM {{schema}}.events HAVING count(*) > 0;

-- The zone whose days are counted, and the next numbers of visitors and sessions. Who changes rollups locks the row.
CREATE TABLE {{schema}}.rollup_state (
    single  boolean   PRIMARY KEY DEFAULT true CHECK (single),
    zone    text      NOT NULL,
    numbers integer[] NOT NULL DEFAULT '{0,0}'
);

-- Dense numbers, so that sets of people are bit strings. `who`: 0 visitors, 1 sessions; in sets also
-- 2 and 3, the visitors of the sessions that started on the day, and these sessions.
CREATE TABLE {{schema}}.rollup_people (
    who smallint NOT NULL,
    id  text     NOT NULL,
    n   integer  NOT NULL,
    PRIMARY KEY (who, id)
);

-- What is counted per day: the events of a name, or of a name and its detail. 0 stands for all events.
CREATE TABLE {{schema}}.rollup_series (
    id     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name   text NOT NULL,
    detail text
);

CREATE UNIQUE INDEX rollup_series_key ON {{schema}}.rollup_series (name, md5(detail)) NULLS NOT DISTINCT;

CREATE TABLE {{schema}}.rollup_quarters (
    quarter  timestamptz NOT NULL,
    name     text        NOT NULL,
    currency text        NOT NULL,
    n        bigint      NOT NULL,
    amount   numeric     NOT NULL,
    PRIMARY KEY (quarter, name, currency)
);

CREATE TABLE {{schema}}.rollup_days (
    series integer NOT NULL,
    day    date    NOT NULL,
    n      bigint  NOT NULL,
    PRIMARY KEY (day, series)
);

-- Who was there: a list while they are few, then bits; never both for the same day.
CREATE TABLE {{schema}}.rollup_lists (
    who     smallint  NOT NULL,
    series  integer   NOT NULL,
    day     date      NOT NULL,
    members integer[] NOT NULL,
    PRIMARY KEY (day, who, series)
);

CREATE TABLE {{schema}}.rollup_bits (
    who    smallint  NOT NULL,
    series integer   NOT NULL,
    day    date      NOT NULL,
    chunk  integer   NOT NULL,
    bits   bit(2048) NOT NULL,
    PRIMARY KEY (day, who, series, chunk)
);

-- Purchases without what surrounds them: they are few, and several questions look at each.
CREATE TABLE {{schema}}.rollup_purchases (
    event_id    uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    session_id  text,
    session     integer,
    amount      numeric(20, 6),
    currency    text,
    country     text,
    device      text,
    order_id    text,
    method      text,
    items       jsonb
);

CREATE INDEX rollup_purchases_occurred_at ON {{schema}}.rollup_purchases (occurred_at);

-- Days whose sessions were counted. Sessions change while they last, so a day is counted when it is over, and again
-- when one of its sessions changed.
CREATE TABLE {{schema}}.rollup_visit_days (
    day date PRIMARY KEY
);

CREATE TABLE {{schema}}.rollup_visits (
    day       date     NOT NULL,
    dimension smallint NOT NULL,
    value     text,
    campaign  text,
    sessions  bigint   NOT NULL,
    seconds   numeric,
    members   integer[]
);

CREATE INDEX rollup_visits_day ON {{schema}}.rollup_visits (dimension, day);

GRANT SELECT, INSERT, UPDATE, DELETE ON {{schema}}.rollup_pending, {{schema}}.rollup_state, {{schema}}.rollup_people,
    {{schema}}.rollup_series, {{schema}}.rollup_quarters, {{schema}}.rollup_days, {{schema}}.rollup_lists,
    {{schema}}.rollup_bits, {{schema}}.rollup_purchases, {{schema}}.rollup_visit_days, {{schema}}.rollup_visits
    TO {{writer}};

GRANT SELECT ON {{schema}}.rollup_pending, {{schema}}.rollup_state, {{schema}}.rollup_people,
    {{schema}}.rollup_series, {{schema}}.rollup_quarters, {{schema}}.rollup_days, {{schema}}.rollup_lists,
    {{schema}}.rollup_bits, {{schema}}.rollup_purchases, {{schema}}.rollup_visit_days, {{schema}}.rollup_visits
    TO {{reader}}, {{login}};
