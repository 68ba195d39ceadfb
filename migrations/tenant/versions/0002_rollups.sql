-- What is counted beforehand. Nothing here is more than a recount of `events` and `sessions` would tell.

-- Which flush stored an event: the events of pending flushes are what the rollups do not hold yet.
ALTER TABLE {{schema}}.events ADD COLUMN flush bigint NOT NULL DEFAULT 0;
CREATE INDEX events_flush ON {{schema}}.events (flush);

-- A late event must not widen the summary of its neighbours, and new pages are summarised without waiting for a vacuum.
-- All summaries are read for each answer, so there are few: a megabyte of events is read as soon.
DROP INDEX {{schema}}.events_occurred_at;
CREATE INDEX events_occurred_at ON {{schema}}.events
    USING brin (occurred_at timestamptz_minmax_multi_ops) WITH (autosummarize = on, pages_per_range = 128);

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

-- Dense numbers, so that sets of people are bit strings. `who`: 0 visitors, 1 sessions; in sets also 2 and 3, the
-- visitors of the sessions that started on the day, and these sessions; and 4, such visitors by source.
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

-- Where visits come from; in sets of `who` 4 these are the series.
CREATE TABLE {{schema}}.rollup_sources (
    id       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source   text NOT NULL,
    campaign text
);

CREATE UNIQUE INDEX rollup_sources_key ON {{schema}}.rollup_sources (md5(source), md5(campaign)) NULLS NOT DISTINCT;

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

-- The same for several days at once, where that is shorter, four chunks per row. Made when the days are over: a row for
-- `series` 0 says so.
CREATE TABLE {{schema}}.rollup_blocks (
    who    smallint NOT NULL,
    series integer  NOT NULL,
    block  integer  NOT NULL,
    PRIMARY KEY (block, who, series)
);

CREATE TABLE {{schema}}.rollup_block_bits (
    who    smallint  NOT NULL,
    series integer   NOT NULL,
    block  integer   NOT NULL,
    quad   integer   NOT NULL,
    bits   bit(8192) NOT NULL,
    PRIMARY KEY (block, who, series, quad)
);

-- When visitors did what: the events of a name on a day, a row per round that found some, and one when the day is over.
-- An event is twelve bytes, the visitor's number and the time, as Postgres sends them.
CREATE TABLE {{schema}}.rollup_steps (
    series integer NOT NULL,
    day    date    NOT NULL,
    events bytea   NOT NULL
);

ALTER TABLE {{schema}}.rollup_steps ALTER COLUMN events SET STORAGE EXTERNAL;
CREATE INDEX rollup_steps_day ON {{schema}}.rollup_steps (day, series);

-- Purchases without what surrounds them: they are few, and several questions look at each. An order may be told several
-- times: one telling `counts`, as long as all of them, which came in the times `told`, are looked at; then the session is
-- that of the `buyer`. Both are null for an order that was told once. Products, units and prices are those of its items.
CREATE TABLE {{schema}}.rollup_purchases (
    id          text        NOT NULL,
    event_id    uuid        NOT NULL,
    occurred_at timestamptz NOT NULL,
    counts      boolean     NOT NULL DEFAULT true,
    told        tstzrange,
    buyer_id    text,
    buyer       integer,
    session_id  text,
    session     integer,
    amount      numeric(20, 6),
    currency    text,
    country     text,
    device      text,
    order_id    text,
    method      text,
    products    text[],
    units       numeric[],
    prices      numeric[]
);

CREATE INDEX rollup_purchases_occurred_at ON {{schema}}.rollup_purchases (occurred_at);
CREATE INDEX rollup_purchases_id ON {{schema}}.rollup_purchases USING hash (id);
CREATE INDEX rollup_purchases_told ON {{schema}}.rollup_purchases USING gist (told) WHERE told IS NOT NULL;

-- Days whose sessions were counted. Sessions change while they last, so a day is counted when it is over, and again
-- when one of its sessions changed.
CREATE TABLE {{schema}}.rollup_visit_days (
    day date PRIMARY KEY
);

CREATE TABLE {{schema}}.rollup_visits (
    day       date     NOT NULL,
    dimension smallint NOT NULL,
    value     text,
    source    integer,
    sessions  bigint   NOT NULL,
    seconds   numeric
);

CREATE INDEX rollup_visits_day ON {{schema}}.rollup_visits (dimension, day);

GRANT SELECT, INSERT, UPDATE, DELETE ON {{schema}}.rollup_pending, {{schema}}.rollup_state, {{schema}}.rollup_people,
    {{schema}}.rollup_series, {{schema}}.rollup_sources, {{schema}}.rollup_quarters, {{schema}}.rollup_days, {{schema}}.rollup_lists,
    {{schema}}.rollup_bits, {{schema}}.rollup_blocks, {{schema}}.rollup_block_bits, {{schema}}.rollup_steps,
    {{schema}}.rollup_purchases, {{schema}}.rollup_visit_days, {{schema}}.rollup_visits
    TO {{writer}};

GRANT SELECT ON {{schema}}.rollup_pending, {{schema}}.rollup_state, {{schema}}.rollup_people,
    {{schema}}.rollup_series, {{schema}}.rollup_sources, {{schema}}.rollup_quarters, {{schema}}.rollup_days, {{schema}}.rollup_lists,
    {{schema}}.rollup_bits, {{schema}}.rollup_blocks, {{schema}}.rollup_block_bits, {{schema}}.rollup_steps,
    {{schema}}.rollup_purchases, {{schema}}.rollup_visit_days, {{schema}}.rollup_visits
    TO {{reader}}, {{login}};
