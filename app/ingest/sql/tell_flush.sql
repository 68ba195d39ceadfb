-- Folds a flush's web events into sessions, notes that the rollups do not hold it yet, and counts its outcomes.
-- `visits` are the quarters of an hour in whose days sessions changed: where one starts now, and where it started before.
WITH folded AS (
    INSERT INTO {{schema}}.sessions AS known (
        session_id, visitor_id, user_id, started_at, ended_at, events, page_views, entry_event, entry_page,
        exit_event, exit_page, referrer, utm_source, utm_medium, utm_campaign, device, browser, os, country, channel,
        started_before
    )
    SELECT *
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::bigint[],
        $8::uuid[], $9::text[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
        $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $4::timestamptz[]
    )
    ON CONFLICT (session_id) DO UPDATE SET
        (visitor_id, entry_event, entry_page, referrer, utm_source, utm_medium, utm_campaign, device, browser, os, country,
         channel)
        = (
            SELECT
                first.visitor_id, first.entry_event, first.entry_page, first.referrer, first.utm_source,
                first.utm_medium, first.utm_campaign, first.device, first.browser, first.os, first.country, first.channel
            FROM (
                VALUES
                    (known.started_at, known.visitor_id, known.entry_event, known.entry_page, known.referrer,
                     known.utm_source, known.utm_medium, known.utm_campaign, known.device, known.browser, known.os,
                     known.country, known.channel),
                    (excluded.started_at, excluded.visitor_id, excluded.entry_event, excluded.entry_page,
                     excluded.referrer, excluded.utm_source, excluded.utm_medium, excluded.utm_campaign,
                     excluded.device, excluded.browser, excluded.os, excluded.country, excluded.channel)
            ) AS first (started_at, visitor_id, entry_event, entry_page, referrer, utm_source, utm_medium,
                        utm_campaign, device, browser, os, country, channel)
            ORDER BY first.started_at, first.entry_event
            LIMIT 1
        ),
        exit_event = CASE WHEN (excluded.ended_at, excluded.exit_event) > (known.ended_at, known.exit_event)
            THEN excluded.exit_event ELSE known.exit_event END,
        exit_page = CASE WHEN (excluded.ended_at, excluded.exit_event) > (known.ended_at, known.exit_event)
            THEN excluded.exit_page ELSE known.exit_page END,
        user_id = greatest(known.user_id, excluded.user_id),
        started_before = known.started_at,
        started_at = least(known.started_at, excluded.started_at),
        ended_at = greatest(known.ended_at, excluded.ended_at),
        events = known.events + excluded.events,
        page_views = known.page_views + excluded.page_views
    RETURNING started_at, started_before
),
visits AS (
    SELECT array_agg(DISTINCT date_bin('15 minutes', changed.at, 'epoch')) AS quarters
    FROM folded CROSS JOIN LATERAL (VALUES (folded.started_at), (folded.started_before)) AS changed (at)
),
noted AS (
    INSERT INTO {{schema}}.rollup_pending (flush, events, visits)
    SELECT $21, $22::bigint, coalesce(visits.quarters, '{}') FROM visits WHERE $22::bigint > 0
)
INSERT INTO {{schema}}.outcome_counts (flush, hour, key_id, outcome, reason, n)
SELECT $21, counted.hour, counted.key_id, counted.outcome, counted.reason, counted.n
FROM unnest($23::timestamptz[], $24::uuid[], $25::text[], $26::text[], $27::bigint[])
    AS counted (hour, key_id, outcome, reason, n)
