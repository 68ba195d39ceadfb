-- Leads of a period per day and by source, and how many of the period's sessions left one: rows of four kinds.
SELECT 'day' AS kind, width_bucket(created_at, :day_starts::timestamptz[]) AS day, NULL AS source, count(*) AS n
FROM leads
WHERE created_at >= :from_at AND created_at < :to_at
GROUP BY 2
UNION ALL
(
  SELECT 'source', NULL, nullif(btrim(source), ''), count(*)
  FROM leads
  WHERE created_at >= :from_at AND created_at < :to_at
  GROUP BY 3
  ORDER BY 4 DESC, 3
  LIMIT :sources
)
UNION ALL
SELECT 'sessions', NULL, NULL, count(*)
FROM chat_sessions
WHERE started_at >= :from_at AND started_at < :to_at
UNION ALL
SELECT 'converted', NULL, NULL, count(*)
FROM chat_sessions
WHERE started_at >= :from_at AND started_at < :to_at
  AND session_id IN (SELECT session_id FROM leads)
