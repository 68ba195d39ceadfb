INSERT INTO {{schema}}.person_visitors AS known (visitor_id, user_id, identified_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
ON CONFLICT (visitor_id, user_id) DO UPDATE SET identified_at = greatest(known.identified_at, excluded.identified_at)
