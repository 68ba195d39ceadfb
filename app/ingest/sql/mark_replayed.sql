UPDATE {{schema}}.quarantine SET replayed_at = $2, edited_at = $3 WHERE id = $1
