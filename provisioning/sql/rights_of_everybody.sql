-- What everybody may do in this database; one column per sentence of `hardening`.
SELECT pg_catalog.has_database_privilege('public', pg_catalog.current_database(), 'CONNECT'),
       pg_catalog.has_database_privilege('public', pg_catalog.current_database(), 'TEMPORARY'),
       coalesce(pg_catalog.has_schema_privilege('public', pg_catalog.to_regnamespace('public')::oid, 'CREATE'), false),
       coalesce((SELECT pg_catalog.has_language_privilege('public', l.oid, 'USAGE')
                 FROM pg_catalog.pg_language l WHERE l.lanname = 'plpgsql'), false)
