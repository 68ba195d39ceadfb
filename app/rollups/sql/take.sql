SELECT flush, events, visits FROM {{schema}}.rollup_pending ORDER BY flush LIMIT $1
