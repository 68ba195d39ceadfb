-- Sessions that are not what their events make them; $1 are the events of chats, which belong to none.
WITH recounted AS (
    SELECT
        session_id,
        (array_agg(visitor_id ORDER BY occurred_at, event_id))[1],
        max(user_id),
        min(occurred_at),
        max(occurred_at),
        count(*),
        count(*) FILTER (WHERE name = 'page_view'),
        (array_agg(event_id ORDER BY occurred_at, event_id))[1],
        (array_agg(page_path ORDER BY occurred_at, event_id))[1],
        (array_agg(event_id ORDER BY occurred_at DESC, event_id DESC))[1],
        (array_agg(page_path ORDER BY occurred_at DESC, event_id DESC))[1],
        (array_agg((CASE WHEN from_host = page_host THEN NULL ELSE referrer END, utm_source, utm_medium, utm_campaign,
                device, browser, os, country, coalesce(channel, CASE WHEN referrer IS NOT NULL THEN 'internal' END))::text
            ORDER BY occurred_at, event_id))[1]
    FROM {schema}.events
    CROSS JOIN LATERAL (
        SELECT substring(lower(page_url) FROM '^[a-z]+://(?:www\.)?([^/?#:]+)') AS page_host,
            substring(lower(referrer) FROM '^[a-z]+://(?:www\.)?([^/?#:]+)') AS from_host
    ) AS hosts
    WHERE session_id IS NOT NULL AND name <> ALL ($1::text[])
    GROUP BY session_id
),
kept AS (
    SELECT
        session_id, visitor_id, user_id, started_at, ended_at, events, page_views, entry_event, entry_page, exit_event,
        exit_page, (referrer, utm_source, utm_medium, utm_campaign, device, browser, os, country, channel)::text
    FROM {schema}.sessions
)
SELECT 'stored' AS side, session_id FROM (SELECT * FROM kept EXCEPT ALL SELECT * FROM recounted) AS wrong
UNION ALL
SELECT 'recounted', session_id FROM (SELECT * FROM recounted EXCEPT ALL SELECT * FROM kept) AS missing
ORDER BY session_id, side
LIMIT 20
