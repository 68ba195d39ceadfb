-- Counts the sessions that started on the days ($1, in a zone $2), and gives numbers, from $3 on, to those of them and of
-- their visitors that have none yet; a flush of theirs that waits finds them numbered.
WITH started AS MATERIALIZED (
    SELECT d.day, s.session_id, s.visitor_id, extract(epoch FROM s.ended_at - s.started_at) AS seconds,
        (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 0 AND n.id = s.visitor_id) AS visitor,
        (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 1 AND n.id = s.session_id) AS session,
        coalesce(s.utm_source, s.referrer, 'direct') AS source, s.utm_campaign AS campaign, s.country, s.device,
        s.browser, s.channel, s.referrer, s.page_views
    FROM unnest($1::date[]) AS d (day)
    JOIN {{schema}}.sessions AS s
        ON s.started_at >= {{fn}}day_start(d.day, $2::text)
        AND s.started_at < {{fn}}day_start(d.day + 1, $2::text)
),
numbered AS (
    INSERT INTO {{schema}}.rollup_people (who, id, n)
    SELECT m.who, m.id, ($3::integer[])[m.who + 1] + row_number() OVER (PARTITION BY m.who)::integer - 1
    FROM (
        SELECT DISTINCT 0::smallint AS who, s.visitor_id AS id FROM started AS s
        WHERE s.visitor IS NULL AND s.visitor_id IS NOT NULL
        UNION ALL
        SELECT 1::smallint, s.session_id FROM started AS s WHERE s.session IS NULL
    ) AS m
    RETURNING who, id, n
),
state AS (
    UPDATE {{schema}}.rollup_state AS s
    SET numbers = ARRAY[s.numbers[1] + n.visitors, s.numbers[2] + n.sessions]
    FROM (
        SELECT count(*) FILTER (WHERE n.who = 0)::integer AS visitors,
            count(*) FILTER (WHERE n.who = 1)::integer AS sessions
        FROM numbered AS n
    ) AS n
),
visits AS MATERIALIZED (
    SELECT s.day, s.seconds, coalesce(s.visitor, v.n) AS visitor, coalesce(s.session, n.n) AS session,
        s.source, s.campaign, s.country, s.device, s.browser, s.channel, s.referrer, s.page_views
    FROM started AS s
    LEFT JOIN numbered AS v ON v.who = 0 AND v.id = s.visitor_id
    LEFT JOIN numbered AS n ON n.who = 1 AND n.id = s.session_id
),
met AS MATERIALIZED (
    SELECT v.source, v.campaign, (
        SELECT s.id FROM {{schema}}.rollup_sources AS s
        WHERE md5(s.source) = md5(v.source) AND md5(s.campaign) IS NOT DISTINCT FROM md5(v.campaign)
    ) AS id
    FROM visits AS v
    GROUP BY v.source, v.campaign
),
fresh AS (
    INSERT INTO {{schema}}.rollup_sources (source, campaign) SELECT m.source, m.campaign FROM met AS m WHERE m.id IS NULL
    RETURNING id, source, campaign
),
sources AS MATERIALIZED (
    SELECT m.id, m.source, m.campaign FROM met AS m WHERE m.id IS NOT NULL
    UNION ALL
    SELECT f.id, f.source, f.campaign FROM fresh AS f
),
sourced AS MATERIALIZED (
    SELECT v.day, v.seconds, v.visitor, s.id AS source
    FROM visits AS v JOIN sources AS s ON s.source = v.source AND coalesce(s.campaign, '') = coalesce(v.campaign, '')
        AND (s.campaign IS NULL) = (v.campaign IS NULL)
),
grouped AS (
    SELECT v.day, grouping(v.country, v.device, v.browser, v.channel, v.referrer) AS grouped, v.country, v.device,
        v.browser, v.channel, v.referrer, count(*) AS sessions, count(*) FILTER (WHERE v.page_views = 1) AS bounces,
        sum(v.seconds) AS seconds
    FROM visits AS v
    GROUP BY v.day, GROUPING SETS ((), (v.country), (v.device), (v.browser), (v.channel), (v.referrer))
),
counted AS (
    INSERT INTO {{schema}}.rollup_visits (day, dimension, value, source, sessions, bounces, seconds)
    SELECT g.day, {{fn}}visit_dimension(g.grouped),
        {{fn}}visit_trait(g.grouped, g.country, g.device, g.browser, g.channel, g.referrer), NULL::integer,
        sum(g.sessions), sum(g.bounces), sum(g.seconds)
    FROM grouped AS g
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT v.day, 4, {{fn}}visit_span(v.seconds)::text, NULL, count(*), NULL, sum(v.seconds)
    FROM visits AS v
    GROUP BY 1, 3
    UNION ALL
    SELECT v.day, 5, NULL, v.source, count(*), NULL, sum(v.seconds) FROM sourced AS v GROUP BY v.day, v.source
),
lists AS (
    INSERT INTO {{schema}}.rollup_lists (who, series, day, members)
    SELECT 4, v.source, v.day, array_agg(DISTINCT v.visitor) FROM sourced AS v WHERE v.visitor IS NOT NULL
    GROUP BY v.source, v.day
),
bits AS (
    INSERT INTO {{schema}}.rollup_bits (who, series, day, chunk, bits)
    SELECT m.who, 0, m.day, m.n >> 11, {{fn}}bits_of(m.n & 2047, 1)
    FROM (
        SELECT 2 AS who, v.day, v.visitor AS n FROM visits AS v WHERE v.visitor IS NOT NULL
        UNION ALL
        SELECT 3, v.day, v.session FROM visits AS v WHERE v.session IS NOT NULL
    ) AS m
    GROUP BY m.who, m.day, m.n >> 11
)
INSERT INTO {{schema}}.rollup_visit_days (day, by_channel) SELECT unnest($1::date[]), true
ON CONFLICT (day) DO UPDATE SET by_channel = true
