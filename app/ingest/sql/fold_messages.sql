INSERT INTO {{schema}}."ChatLog" (
    id, "sessionId", role, message, intent, confidence, fallback, "tokensIn", "tokensOut", cost, "latencyMs",
    "createdAt"
)
SELECT *
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::double precision[], $7::boolean[],
    $8::bigint[], $9::bigint[], $10::numeric[], $11::double precision[], $12::timestamptz[]
)
ON CONFLICT (id) DO NOTHING
