UPDATE {{schema}}.quarantine
SET body = $2, event_id = $3, event_uuid = coalesce($4, event_uuid), edited_at = $5
WHERE id = $1
