SELECT name, sum(n)::bigint AS n
FROM {{fn}}name_counts($1, $2)
GROUP BY name
HAVING sum(n) > 0
ORDER BY n DESC, name
LIMIT 500
