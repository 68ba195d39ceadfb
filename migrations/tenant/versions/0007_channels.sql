-- Where a visit came from, by its entry event: `internal` if that was a page of the site itself, as when a visit goes on
-- after a break. Null of sessions from before, and of those that began on no page.
ALTER TABLE {{schema}}.sessions ADD COLUMN channel text;

-- Sessions that saw one page and no other.
ALTER TABLE {{schema}}.rollup_visits ADD COLUMN bounces bigint;

-- A worker of an older release counts days without channels, referrers and bounces; these are to be counted anew.
ALTER TABLE {{schema}}.rollup_visit_days ADD COLUMN by_channel boolean NOT NULL DEFAULT false;

-- The site that a link was on, as people call it; what is no URL is called what it is.
CREATE FUNCTION {{fn}}referrer_site(referrer text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(
    lower(coalesce(substring(referrer FROM '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^]/?#]*\]|[^/?#:]+)'), referrer)),
    '^www\.', ''
);

-- What sessions are counted by: 0 nothing, 1 country, 2 device, 3 browser, 6 channel, 7 the site that they came from. They
-- are grouped by what they bear, and `grouped` is GROUPING(country, device, browser, channel, referrer): to name them first
-- takes eight times as long.
CREATE FUNCTION {{fn}}visit_dimension(grouped integer) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE grouped WHEN 31 THEN 0 WHEN 15 THEN 1 WHEN 23 THEN 2 WHEN 27 THEN 3 WHEN 29 THEN 6 WHEN 30 THEN 7 END;

-- Under which name; a site is null if there is none: sessions keep no referrer on their own site.
CREATE FUNCTION {{fn}}visit_trait(grouped integer, country text, device text, browser text, channel text, referrer text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE grouped
    WHEN 15 THEN coalesce(country, 'unknown')
    WHEN 23 THEN coalesce(device, 'unknown')
    WHEN 27 THEN coalesce(browser, 'unknown')
    WHEN 29 THEN coalesce(channel, 'unknown')
    WHEN 30 THEN {{fn}}referrer_site(referrer)
END;

-- The same of one session.
CREATE FUNCTION {{fn}}visit_traits(session {{schema}}.sessions)
RETURNS TABLE (dimension smallint, value text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 6
BEGIN ATOMIC
    SELECT {{fn}}visit_dimension(g.grouped), {{fn}}visit_trait(
        g.grouped, session.country, session.device, session.browser, session.channel, session.referrer
    )
    FROM (VALUES (31), (15), (23), (27), (29), (30)) AS g (grouped); END;

-- Sessions that started in a range by what they are counted by; `bounces` of them saw one page and no other.
CREATE FUNCTION {{fn}}visit_groups(dimensions smallint[], since timestamptz, until timestamptz)
RETURNS TABLE (dimension smallint, value text, sessions bigint, bounces bigint, seconds numeric)
LANGUAGE sql STABLE STRICT ROWS 100
BEGIN ATOMIC
    WITH ranges AS MATERIALIZED (
        SELECT r.day, r.starts_at, r.ends_at,
            r.counted AND r.day IN (SELECT d.day FROM {{schema}}.rollup_visit_days AS d WHERE d.by_channel) AS counted
        FROM {{fn}}visit_ranges(since, until, true) AS r
    ),
    raw AS (
        SELECT grouping(s.country, s.device, s.browser, s.channel, s.referrer) AS grouped, s.country, s.device,
            s.browser, s.channel, s.referrer, count(*) AS sessions, count(*) FILTER (WHERE s.page_views = 1) AS bounces,
            sum(extract(epoch FROM s.ended_at - s.started_at)) AS seconds
        FROM unnest((
            SELECT coalesce(range_agg(tstzrange(r.starts_at, r.ends_at)) FILTER (WHERE NOT r.counted), '{}') FROM ranges AS r
        )) AS w (span)
        JOIN {{schema}}.sessions AS s ON s.started_at >= lower(w.span) AND s.started_at < upper(w.span)
        GROUP BY GROUPING SETS ((), (s.country), (s.device), (s.browser), (s.channel), (s.referrer))
    )
    SELECT found.dimension, found.value, sum(found.sessions)::bigint, sum(found.bounces)::bigint, sum(found.seconds)
    FROM (
        SELECT v.dimension, v.value, v.sessions, v.bounces, v.seconds
        FROM ranges AS r JOIN {{schema}}.rollup_visits AS v ON v.dimension = ANY (dimensions) AND v.day = r.day
        WHERE r.counted
        UNION ALL
        SELECT {{fn}}visit_dimension(t.grouped),
            {{fn}}visit_trait(t.grouped, t.country, t.device, t.browser, t.channel, t.referrer), t.sessions, t.bounces,
            t.seconds
        FROM raw AS t
        WHERE {{fn}}visit_dimension(t.grouped) = ANY (dimensions) AND t.sessions > 0
    ) AS found
    GROUP BY found.dimension, found.value; END;

-- Orders of a range, counted once each, by currency, and in a row of all (`whole`), which alone tells how many of the
-- sessions that started in the range ordered in it; `priced` orders have an amount.
CREATE FUNCTION {{fn}}order_sums(since timestamptz, until timestamptz)
RETURNS TABLE (whole boolean, currency text, orders bigint, priced bigint, amount numeric, converted bigint)
LANGUAGE sql STABLE STRICT ROWS 3
BEGIN ATOMIC
    WITH ranges AS MATERIALIZED (SELECT r.* FROM {{fn}}visit_ranges(since, until, true) AS r),
    loose AS MATERIALIZED (SELECT l.* FROM {{fn}}loose_orders(since, until) AS l),
    bought AS MATERIALIZED (
        SELECT p.currency, p.amount, coalesce(p.buyer_id, p.session_id) AS session_id,
            coalesce(p.buyer, p.session) AS session
        FROM {{schema}}.rollup_purchases AS p
        WHERE p.occurred_at >= since AND p.occurred_at < until AND p.counts
            AND p.id NOT IN (SELECT l.id FROM loose AS l)
        UNION ALL
        SELECT l.currency, l.amount, l.session_id, l.session FROM loose AS l
    ),
    visits AS MATERIALIZED (
        SELECT b.chunk, bit_or(b.bits) AS bits
        FROM ranges AS r JOIN {{schema}}.rollup_bits AS b ON b.who = 3 AND b.series = 0 AND b.day = r.day
        WHERE r.counted
        GROUP BY b.chunk
    ),
    started AS MATERIALIZED (
        SELECT s.session_id
        FROM {{fn}}raw_visits((
            SELECT coalesce(range_agg(tstzrange(r.starts_at, r.ends_at)) FILTER (WHERE NOT r.counted), '{}') FROM ranges AS r
        )) AS s
    ),
    converted AS (
        SELECT (
            SELECT count(DISTINCT b.session)
            FROM bought AS b JOIN visits AS v ON v.chunk = b.session >> 11
            WHERE get_bit(v.bits, b.session & 2047) = 1
        ) + (
            SELECT count(DISTINCT b.session_id) FROM bought AS b JOIN started AS s ON s.session_id = b.session_id
        ) AS n
    )
    SELECT grouping(b.currency) = 1, b.currency, count(*), count(b.amount), sum(b.amount),
        CASE WHEN grouping(b.currency) = 1 THEN (SELECT c.n FROM converted AS c) END
    FROM bought AS b
    GROUP BY GROUPING SETS ((), (b.currency)); END;
