-- One client's schema. {{schema}} and the roles are quoted identifiers from the registry.
-- Keeps to what also runs under Citus schema sharding: no triggers, no foreign key out of the schema.

CREATE TABLE {{schema}}.events (
    event_id      uuid        NOT NULL,
    name          text        NOT NULL,
    category      text,
    occurred_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    session_id    text,
    visitor_id    text,
    user_id       text,
    page_url      text,
    page_path     text,
    page_title    text,
    referrer      text,
    utm_source    text,
    utm_medium    text,
    utm_campaign  text,
    device        text,
    browser       text,
    os            text,
    country       text,
    amount        numeric(20, 6),
    currency      text,
    schema_name   text,
    schema_version integer,
    properties    jsonb       NOT NULL,
    key_id        uuid        NOT NULL
) PARTITION BY RANGE (occurred_at);

CREATE INDEX events_occurred_at ON {{schema}}.events USING brin (occurred_at);

-- Which ids have been stored, by which flush, and with what content: a unique index on a time-partitioned
-- table cannot tell, because it would have to contain the time.
CREATE TABLE {{schema}}.event_ids (
    id           uuid   PRIMARY KEY,
    digest       bigint NOT NULL,
    flush        bigint NOT NULL,
    received_day date   NOT NULL
);

CREATE INDEX event_ids_received_day ON {{schema}}.event_ids USING brin (received_day);

-- One row per flush, key, hour and outcome; compacted into flush 0. The primary key also answers
-- whether a commit whose answer was lost has happened, and keeps it from happening twice.
CREATE TABLE {{schema}}.outcome_counts (
    flush   bigint      NOT NULL,
    hour    timestamptz NOT NULL,
    key_id  uuid        NOT NULL,
    outcome text        NOT NULL,
    reason  text        NOT NULL DEFAULT '',
    n       bigint      NOT NULL,
    PRIMARY KEY (flush, hour, key_id, outcome, reason)
);

CREATE TABLE {{schema}}.quarantine (
    id          uuid        PRIMARY KEY,
    flush       bigint      NOT NULL,
    received_at timestamptz NOT NULL,
    key_id      uuid        NOT NULL,
    event_id    text,
    code        text        NOT NULL,
    pointer     text        NOT NULL,
    detail      text        NOT NULL,
    body        bytea       NOT NULL
);

CREATE INDEX quarantine_received_at ON {{schema}}.quarantine (received_at);

CREATE TABLE {{schema}}."UserEvents" (
    "sessionId"       text PRIMARY KEY,
    "pageLoaded"      timestamptz,
    "widgetOpened"    timestamptz,
    "requestedHuman"  timestamptz,
    "pressedAccept"   timestamptz,
    "pressedCallback" timestamptz,
    "pressedContinue" timestamptz,
    "createdAt"       timestamptz NOT NULL,
    "updatedAt"       timestamptz NOT NULL
);

CREATE INDEX "UserEvents_startedAt" ON {{schema}}."UserEvents" (
    (coalesce("pageLoaded", least("widgetOpened", "requestedHuman", "pressedAccept", "pressedCallback", "pressedContinue"))),
    "sessionId"
);

CREATE TABLE {{schema}}."Leads" (
    id          uuid PRIMARY KEY,
    "sessionId" text NOT NULL,
    name        text,
    email       text,
    phone       text,
    source      text,
    "createdAt" timestamptz NOT NULL
);

CREATE INDEX "Leads_createdAt" ON {{schema}}."Leads" ("createdAt");

CREATE TABLE {{schema}}."ChatLog" (
    id          uuid PRIMARY KEY,
    "sessionId" text NOT NULL,
    role        text NOT NULL,
    message     text,
    intent      text,
    confidence  double precision,
    fallback    boolean,
    "tokensIn"  bigint,
    "tokensOut" bigint,
    cost        numeric(20, 6),
    "latencyMs" double precision,
    "createdAt" timestamptz NOT NULL
);

CREATE INDEX "ChatLog_createdAt" ON {{schema}}."ChatLog" ("createdAt");
CREATE INDEX "ChatLog_sessionId" ON {{schema}}."ChatLog" ("sessionId");

CREATE TABLE {{schema}}."AgentConnection" (
    id               uuid PRIMARY KEY,
    "sessionId"      text NOT NULL,
    agent            text,
    "connectedAt"    timestamptz,
    "disconnectedAt" timestamptz,
    csat             double precision
);

CREATE INDEX "AgentConnection_sessionId" ON {{schema}}."AgentConnection" ("sessionId");
CREATE INDEX "AgentConnection_connectedAt" ON {{schema}}."AgentConnection" ("connectedAt");

-- What agents did, from which a session's "AgentConnection" rows are rebuilt whatever order it arrived in.
CREATE TABLE {{schema}}.agent_events (
    event_id    uuid PRIMARY KEY,
    session_id  text        NOT NULL,
    kind        text        NOT NULL,
    agent       text,
    occurred_at timestamptz NOT NULL,
    csat        double precision
);

CREATE INDEX agent_events_session_id ON {{schema}}.agent_events (session_id);

-- Web sessions. What describes the visit comes from its entry event: the earliest, then the lowest id.
CREATE TABLE {{schema}}.sessions (
    session_id   text PRIMARY KEY,
    visitor_id   text,
    user_id      text,
    started_at   timestamptz NOT NULL,
    ended_at     timestamptz NOT NULL,
    events       bigint      NOT NULL,
    page_views   bigint      NOT NULL,
    entry_event  uuid        NOT NULL,
    entry_page   text,
    exit_event   uuid        NOT NULL,
    exit_page    text,
    referrer     text,
    utm_source   text,
    utm_medium   text,
    utm_campaign text,
    device       text,
    browser      text,
    os           text,
    country      text
);

CREATE INDEX sessions_started_at ON {{schema}}.sessions (started_at);

GRANT USAGE ON SCHEMA {{schema}} TO {{writer}}, {{reader}}, {{login}};

GRANT SELECT, INSERT ON {{schema}}.events, {{schema}}.quarantine, {{schema}}."Leads", {{schema}}."ChatLog",
    {{schema}}.agent_events TO {{writer}};
GRANT SELECT, INSERT, UPDATE ON {{schema}}."UserEvents", {{schema}}.sessions TO {{writer}};
GRANT SELECT, INSERT, DELETE ON {{schema}}.event_ids, {{schema}}."AgentConnection" TO {{writer}};
GRANT SELECT, INSERT, UPDATE, DELETE ON {{schema}}.outcome_counts TO {{writer}};

-- By name: to find all tables of a schema, Postgres reads the catalog of all clients' several times over.
GRANT SELECT ON {{schema}}.events, {{schema}}.event_ids, {{schema}}.outcome_counts, {{schema}}.quarantine,
    {{schema}}."UserEvents", {{schema}}."Leads", {{schema}}."ChatLog", {{schema}}."AgentConnection",
    {{schema}}.agent_events, {{schema}}.sessions TO {{reader}};
GRANT SELECT ON {{schema}}.events, {{schema}}."UserEvents", {{schema}}."Leads", {{schema}}."ChatLog",
    {{schema}}."AgentConnection", {{schema}}.sessions TO {{login}};
