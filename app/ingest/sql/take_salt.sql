-- Makes a day's salt if there is none, destroys those of days before, and returns it; no row if another made it just now.
WITH made AS (
    INSERT INTO {{schema}}.visitor_salts (day, salt) VALUES ($1, $2) ON CONFLICT (day) DO NOTHING RETURNING salt
),
gone AS (
    DELETE FROM {{schema}}.visitor_salts WHERE day < $1
)
SELECT salt FROM made
UNION ALL
SELECT salt FROM {{schema}}.visitor_salts WHERE day = $1
