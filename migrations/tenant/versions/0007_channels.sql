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

-- What a session is counted by: 0 nothing, 1 country, 2 device, 3 browser, 6 channel, 7 the site that it came from, null if
-- from none or from the site itself.
CREATE FUNCTION {{fn}}visit_traits(session {{schema}}.sessions)
RETURNS TABLE (dimension smallint, value text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 6
BEGIN ATOMIC
    VALUES (0::smallint, NULL), (1::smallint, coalesce(session.country, 'unknown')),
        (2::smallint, coalesce(session.device, 'unknown')), (3::smallint, coalesce(session.browser, 'unknown')),
        (6::smallint, coalesce(session.channel, 'unknown')),
        (7::smallint, CASE WHEN session.channel IS DISTINCT FROM 'internal' THEN {{fn}}referrer_site(session.referrer) END); END;

-- Sessions that started in a range by what describes them; `bounces` of them saw one page and no other.
CREATE FUNCTION {{fn}}visit_groups(dimensions smallint[], since timestamptz, until timestamptz)
RETURNS TABLE (dimension smallint, value text, sessions bigint, bounces bigint, seconds numeric)
LANGUAGE sql STABLE STRICT ROWS 100
BEGIN ATOMIC
    WITH ranges AS MATERIALIZED (
        SELECT r.day, r.starts_at, r.ends_at,
            r.counted AND r.day IN (SELECT d.day FROM {{schema}}.rollup_visit_days AS d WHERE d.by_channel) AS counted
        FROM {{fn}}visit_ranges(since, until, true) AS r
    )
    SELECT found.dimension, found.value, sum(found.sessions)::bigint, sum(found.bounces)::bigint, sum(found.seconds)
    FROM (
        SELECT v.dimension, v.value, v.sessions, v.bounces, v.seconds
        FROM ranges AS r JOIN {{schema}}.rollup_visits AS v ON v.dimension = ANY (dimensions) AND v.day = r.day
        WHERE r.counted
        UNION ALL
        SELECT t.dimension, t.value, count(*), count(*) FILTER (WHERE s.page_views = 1),
            sum(extract(epoch FROM s.ended_at - s.started_at))
        FROM unnest((
            SELECT coalesce(range_agg(tstzrange(r.starts_at, r.ends_at)) FILTER (WHERE NOT r.counted), '{}') FROM ranges AS r
        )) AS w (span)
        JOIN {{schema}}.sessions AS s ON s.started_at >= lower(w.span) AND s.started_at < upper(w.span)
        CROSS JOIN LATERAL {{fn}}visit_traits(s) AS t
        WHERE t.dimension = ANY (dimensions)
        GROUP BY t.dimension, t.value
    ) AS found
    GROUP BY found.dimension, found.value; END;
