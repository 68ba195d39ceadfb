-- The steps per day: the day's number from 1 in :day_starts; days without sessions give no row.
SELECT width_bucket(started_at, :day_starts::timestamptz[]) AS day,
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
