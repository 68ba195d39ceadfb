SELECT
    known.flush,
    known.received_day,
    coalesce(repeats.n, 0)::bigint AS repeats,
    coalesce(repeats.conflicts, 0)::bigint AS conflicts,
    repeats.last_at
FROM (SELECT $1::uuid AS id) AS asked
LEFT JOIN {{schema}}.event_ids AS known ON known.id = asked.id
LEFT JOIN (
    SELECT sum(n) AS n, sum(conflicts) AS conflicts, max(received_at) AS last_at
    FROM {{schema}}.event_repeats
    WHERE id = $1
) AS repeats ON true
