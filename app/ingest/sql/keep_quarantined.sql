-- In place, so that who waits for the row finds it.
UPDATE {{schema}}.quarantine AS kept
SET code = told.code, pointer = told.pointer, detail = told.detail, replayed_at = $5
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS told (id, code, pointer, detail)
WHERE kept.id = told.id
