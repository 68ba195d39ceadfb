-- The most frequent countries, devices, browsers, channels and referring sites of the sessions that started in a period.
SELECT g.dimension, g.value AS name, g.sessions, g.bounces, g.seconds
FROM (
    SELECT v.*, row_number() OVER (PARTITION BY v.dimension ORDER BY v.sessions DESC, v.value) AS place
    FROM {{fn}}visit_groups(:dimensions, :from_at, :to_at) AS v
    WHERE v.value IS NOT NULL
) AS g
WHERE g.place <= :most
ORDER BY g.dimension, g.place
