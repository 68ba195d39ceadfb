-- Sessions that Grove made for these visitors and that events of a range of time may belong to.
-- `OFFSET 0` has each visitor looked up in the index of visitors: all at once, where statistics are yet to be made, would
-- go through every session that Grove ever made.
SELECT found.*
FROM unnest($1::text[]) AS asked (visitor_id) CROSS JOIN LATERAL (
    SELECT made.session_id, made.visitor_id, made.started_at, made.ended_at, made.utm_source, made.utm_medium, made.utm_campaign
    FROM {{schema}}.sessions AS made
    WHERE made.session_id LIKE '~%' AND made.visitor_id = asked.visitor_id AND made.ended_at >= $2 AND made.started_at <= $3
    OFFSET 0
) AS found
