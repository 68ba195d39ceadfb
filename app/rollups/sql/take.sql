SELECT flush, events, visits FROM {{schema}}.rollup_pending WHERE flush <> -1 ORDER BY flush LIMIT $1
