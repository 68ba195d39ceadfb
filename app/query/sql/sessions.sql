-- One page of a period's sessions, the latest first, after the one at (:before_at, :before_id).
SELECT session_id, started_at, ended_at, page_loaded, widget_opened, requested_human,
       pressed_accept, pressed_callback, pressed_continue
FROM chat_sessions
WHERE started_at >= :from_at AND started_at < :to_at
  AND (started_at, session_id) < (:before_at, :before_id)
ORDER BY started_at DESC, session_id DESC
LIMIT :rows
