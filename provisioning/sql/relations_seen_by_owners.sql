-- Catalogs of one database that migrations and drivers read: no statistics, no sessions, no passwords.
SELECT c.oid::regclass::text AS name
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_init_privs i ON i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = 0
WHERE c.relnamespace = 'pg_catalog'::regnamespace
  AND c.relkind IN ('r', 'v')
  AND c.relname NOT LIKE 'pg\_stat%'
  AND EXISTS (
      SELECT FROM pg_catalog.aclexplode(i.initprivs) a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT'
  )
ORDER BY c.relname
