-- Rows and newest time of each table: one row each.
SELECT 'UserEvents' AS "table", count(*) AS n, max(ended_at) AS newest FROM chat_sessions
UNION ALL
SELECT 'Leads', count(*), max(created_at) FROM leads
UNION ALL
SELECT 'ChatLog', count(*), max(created_at) FROM chat_log
UNION ALL
SELECT 'AgentConnection', count(*), max(greatest(connected_at, disconnected_at)) FROM agent_connections
