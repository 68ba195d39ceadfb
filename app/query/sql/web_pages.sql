SELECT p.detail AS page, p.n AS views, p.visitors
FROM {{fn}}detail_visitors('page_view', :from_at, :to_at, :most) AS p
ORDER BY p.n DESC, p.detail
