-- `is_bot` is true of a program's events that the client keeps with a flag, else null.
ALTER TABLE {{schema}}.events
    ADD COLUMN channel       text,
    ADD COLUMN search_engine text,
    ADD COLUMN is_bot        boolean;

-- What visitors' ids are made with, for one day of the client's; when it is gone, nobody can make them again.
-- No reader sees it.
CREATE TABLE {{schema}}.visitor_salts (
    day  date  PRIMARY KEY,
    salt bytea NOT NULL
);

-- Sessions that Grove made because their sender gave none; their ids begin with ~.
CREATE INDEX sessions_made ON {{schema}}.sessions (visitor_id) WHERE session_id LIKE '~%';

-- Who was identified, with the traits that the client lets be kept.
CREATE TABLE {{schema}}.persons (
    user_id       text        PRIMARY KEY,
    traits        jsonb       NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL
);

-- As which visitors; an id that is another one tomorrow leads to no more than today's events.
CREATE TABLE {{schema}}.person_visitors (
    visitor_id    text        NOT NULL,
    user_id       text        NOT NULL,
    identified_at timestamptz NOT NULL,
    PRIMARY KEY (visitor_id, user_id)
);

CREATE INDEX person_visitors_user_id ON {{schema}}.person_visitors (user_id);

-- Events with the person whose they are: the user that they name, or whom their visitor was last identified as.
CREATE VIEW {{schema}}.person_events AS
SELECT
    coalesce(
        e.user_id,
        (
            SELECT known.user_id
            FROM {{schema}}.person_visitors AS known
            WHERE known.visitor_id = e.visitor_id
            ORDER BY known.identified_at DESC, known.user_id
            LIMIT 1
        )
    ) AS person_id,
    e.event_id, e.name, e.category, e.occurred_at, e.session_id, e.visitor_id, e.page_url, e.page_path, e.referrer,
    e.channel, e.utm_source, e.utm_medium, e.utm_campaign, e.device, e.browser, e.os, e.country, e.amount, e.currency,
    e.properties
FROM {{schema}}.events AS e;

GRANT SELECT, INSERT, DELETE ON {{schema}}.visitor_salts TO {{writer}};
GRANT SELECT, INSERT, UPDATE ON {{schema}}.persons, {{schema}}.person_visitors TO {{writer}};
GRANT SELECT ON {{schema}}.persons, {{schema}}.person_visitors, {{schema}}.person_events TO {{reader}};
GRANT SELECT ON {{schema}}.person_events TO {{login}};
