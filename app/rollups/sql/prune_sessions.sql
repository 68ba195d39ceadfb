DELETE FROM {{schema}}.sessions WHERE ended_at < $1::timestamptz
