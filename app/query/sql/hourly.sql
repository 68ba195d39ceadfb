-- The steps per hour of day: the distance to UTC is looked up among the zone's in the period.
SELECT extract(
         hour FROM started_at AT TIME ZONE 'UTC'
           + (:shifts_s::int[])[width_bucket(started_at, :shifts_since::timestamptz[])] * interval '1 second'
       )::int AS hour,
       count(*) AS sessions,
       count(page_loaded) AS page_loads,
       count(widget_opened) AS widget_opens,
       count(requested_human) AS human_requests,
       count(pressed_accept) AS accepts,
       count(pressed_callback) AS callbacks,
       count(pressed_continue) AS continues
FROM chat_sessions
WHERE started_at >= :from_at AND started_at < :to_at
GROUP BY 1
