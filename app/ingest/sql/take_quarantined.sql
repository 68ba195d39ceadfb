-- In one order, so that two replays never wait for each other; who comes second finds what the first has left.
SELECT id, received_at, key_id, event_uuid, code, body
FROM {{schema}}.quarantine
WHERE id = ANY ($1::uuid[])
ORDER BY id
FOR UPDATE
