DELETE FROM {{schema}}.visitor_salts WHERE day < $1
