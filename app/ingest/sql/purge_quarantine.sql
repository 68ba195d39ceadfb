DELETE FROM {{schema}}.quarantine
WHERE id = ANY (ARRAY(
    SELECT id
    FROM {{schema}}.quarantine
    WHERE ($1::uuid[] IS NULL OR id = ANY ($1))
      AND ($2::text IS NULL OR code = $2)
      AND ($3::uuid IS NULL OR key_id = $3)
      AND ($4::timestamptz IS NULL OR received_at >= $4)
      AND ($5::timestamptz IS NULL OR received_at < $5)
    ORDER BY id
    LIMIT $6
))
