-- A session's connections from all that is known of it, so that the order of arrival does not matter.
-- An end or a rating belongs to the latest connection before it (an end: of the same agent, where both say);
-- one that finds none stands alone.
WITH told AS (
    SELECT * FROM {{schema}}.agent_events WHERE session_id = ANY($1::text[])
),
placed AS (
    SELECT told.*, coalesce(opened.event_id, told.event_id) AS connection
    FROM told
    LEFT JOIN LATERAL (
        SELECT earlier.event_id
        FROM told AS earlier
        WHERE earlier.session_id = told.session_id
          AND earlier.kind = 'agent_connected'
          AND earlier.occurred_at <= told.occurred_at
          AND told.kind <> 'agent_connected'
          AND (told.kind = 'csat' OR told.agent IS NULL OR earlier.agent IS NULL OR earlier.agent = told.agent)
        ORDER BY earlier.occurred_at DESC, earlier.event_id DESC
        LIMIT 1
    ) AS opened ON true
)
INSERT INTO {{schema}}."AgentConnection" (id, "sessionId", agent, "connectedAt", "disconnectedAt", csat)
SELECT
    connection,
    session_id,
    coalesce(max(agent) FILTER (WHERE kind = 'agent_connected'), max(agent)),
    min(occurred_at) FILTER (WHERE kind = 'agent_connected'),
    max(occurred_at) FILTER (WHERE kind = 'agent_disconnected'),
    (array_agg(csat ORDER BY occurred_at DESC, event_id DESC) FILTER (WHERE csat IS NOT NULL))[1]
FROM placed
GROUP BY connection, session_id
