-- How many sessions of a period reached each step: one row. Steps are counted each for itself.
SELECT count(*) AS sessions,
       count(page_loaded) AS page_loads,
       count(widget_opened) AS widget_opens,
       count(requested_human) AS human_requests,
       count(pressed_accept) AS accepts,
       count(pressed_callback) AS callbacks,
       count(pressed_continue) AS continues
FROM chat_sessions
WHERE started_at >= :from_at AND started_at < :to_at
