-- Databases other than this one that everybody may connect to.
SELECT d.datname
FROM pg_catalog.pg_database d
WHERE d.datallowconn
  AND d.datname <> pg_catalog.current_database()
  AND pg_catalog.has_database_privilege('public', d.oid, 'CONNECT')
ORDER BY d.datname
