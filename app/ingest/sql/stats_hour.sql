SELECT coalesce(sum(n), 0)::bigint FROM {{fn}}event_counts($1, $2)
