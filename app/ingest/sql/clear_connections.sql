-- Rows that came by import have ids that no agent event has, and stay.
DELETE FROM {{schema}}."AgentConnection" AS connection
USING {{schema}}.agent_events AS told
WHERE told.session_id = ANY($1::text[]) AND connection.id = told.event_id
