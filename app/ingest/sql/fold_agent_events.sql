INSERT INTO {{schema}}.agent_events (event_id, session_id, kind, agent, occurred_at, csat)
SELECT *
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::double precision[])
ON CONFLICT (event_id) DO NOTHING
