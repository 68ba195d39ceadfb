-- Logins that are not Grove's and may connect to a database only because everybody may.
SELECT r.rolname
FROM pg_catalog.pg_roles r
WHERE r.rolcanlogin
  AND NOT r.rolsuper
  AND r.rolname !~ '^(pg_|t_[a-z0-9]{16}|grove_app$)'
  AND pg_catalog.has_database_privilege(r.rolname, $1, 'CONNECT')
ORDER BY r.rolname
