-- Whether this login could change anything: data, or by making objects. Its own tables count as writable.
SELECT r.rolsuper
    OR pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
    OR EXISTS (
        SELECT FROM pg_catalog.pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')
    )
    OR EXISTS (
        SELECT FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND (pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
               OR pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE'))
    )
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
