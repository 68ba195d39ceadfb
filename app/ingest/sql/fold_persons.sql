-- The later event's traits win, whatever order they come in.
INSERT INTO {{schema}}.persons AS known (user_id, traits, first_seen_at, last_seen_at)
SELECT seen.user_id, seen.traits::jsonb, seen.first_at, seen.last_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) AS seen (user_id, traits, first_at, last_at)
ON CONFLICT (user_id) DO UPDATE SET
    traits = CASE WHEN excluded.last_seen_at >= known.last_seen_at
        THEN known.traits || excluded.traits ELSE excluded.traits || known.traits END,
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
