SELECT EXISTS (SELECT FROM {{schema}}.outcome_counts WHERE flush = $1)
