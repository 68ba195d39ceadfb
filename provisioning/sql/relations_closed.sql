-- System catalogs and views that everybody may read by default, but not here.
SELECT c.oid::regclass::text AS name
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_init_privs i ON i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = 0
WHERE c.relnamespace = 'pg_catalog'::regnamespace
  AND c.relkind IN ('r', 'v')
  AND NOT pg_catalog.has_table_privilege('public', c.oid, 'SELECT')
  AND EXISTS (
      SELECT FROM pg_catalog.aclexplode(i.initprivs) a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT'
  )
ORDER BY c.relname
