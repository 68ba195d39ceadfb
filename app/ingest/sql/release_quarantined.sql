DELETE FROM {{schema}}.quarantine WHERE id = ANY ($1::uuid[])
