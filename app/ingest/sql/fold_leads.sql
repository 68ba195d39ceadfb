INSERT INTO {{schema}}."Leads" (id, "sessionId", name, email, phone, source, "createdAt")
SELECT *
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
ON CONFLICT (id) DO NOTHING
