-- Sessions that Grove made for these visitors and that events of a range of time may belong to.
SELECT session_id, visitor_id, started_at, ended_at, utm_source, utm_medium, utm_campaign
FROM {{schema}}.sessions
WHERE session_id LIKE '~%' AND visitor_id = ANY ($1::text[]) AND ended_at >= $2 AND started_at <= $3
