SELECT r.first_week, r.weeks_later, r.visitors
FROM {{fn}}visitors_retained(:from_at, :to_at) AS r
ORDER BY r.first_week, r.weeks_later
