-- Counts the sessions that started on the days ($1, in a zone $2). One without a number came with a flush since they got
-- theirs: that flush waits, and has its days counted anew.
WITH visits AS MATERIALIZED (
    SELECT d.day, extract(epoch FROM s.ended_at - s.started_at) AS seconds, p.n AS visitor,
        {{schema}}.number_of(1, s.session_id) AS session,
        coalesce(s.country, 'unknown') AS country, coalesce(s.device, 'unknown') AS device,
        coalesce(s.browser, 'unknown') AS browser, coalesce(s.utm_source, s.referrer, 'direct') AS source,
        s.utm_campaign AS campaign
    FROM unnest($1::date[]) AS d (day)
    JOIN {{schema}}.sessions AS s
        ON s.started_at >= {{schema}}.day_start(d.day, $2::text)
        AND s.started_at < {{schema}}.day_start(d.day + 1, $2::text)
    LEFT JOIN {{schema}}.rollup_people AS p ON p.who = 0 AND p.id = s.visitor_id
),
counted AS (
    INSERT INTO {{schema}}.rollup_visits (day, dimension, value, campaign, sessions, seconds, members)
    SELECT v.day, l.dimension, l.value, NULL, count(*), sum(v.seconds), NULL
    FROM visits AS v CROSS JOIN LATERAL (
        VALUES (0::smallint, NULL), (1::smallint, v.country), (2::smallint, v.device), (3::smallint, v.browser),
            (4::smallint, {{schema}}.visit_span(v.seconds)::text)
    ) AS l (dimension, value)
    GROUP BY v.day, l.dimension, l.value
    UNION ALL
    SELECT v.day, 5, v.source, v.campaign, count(*), sum(v.seconds),
        array_agg(DISTINCT v.visitor) FILTER (WHERE v.visitor IS NOT NULL)
    FROM visits AS v
    GROUP BY v.day, v.source, v.campaign
),
bits AS (
    INSERT INTO {{schema}}.rollup_bits (who, series, day, chunk, bits)
    SELECT m.who, 0, m.day, m.n >> 11, {{schema}}.bits_of(m.n & 2047, 1)
    FROM (
        SELECT 2 AS who, v.day, v.visitor AS n FROM visits AS v WHERE v.visitor IS NOT NULL
        UNION ALL
        SELECT 3, v.day, v.session FROM visits AS v WHERE v.session IS NOT NULL
    ) AS m
    GROUP BY m.who, m.day, m.n >> 11
)
INSERT INTO {{schema}}.rollup_visit_days (day) SELECT unnest($1::date[])
