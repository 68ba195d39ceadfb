-- System catalogs and views that everybody may read and that tell of others. What only describes Postgres itself, or
-- the asking session, is left.
SELECT c.oid::regclass::text AS name
FROM pg_catalog.pg_class c
WHERE c.relnamespace = 'pg_catalog'::regnamespace
  AND c.relkind IN ('r', 'v')
  AND pg_catalog.has_any_column_privilege('public', c.oid, 'SELECT')
  AND c.relname NOT IN (
      'pg_settings', 'pg_timezone_names', 'pg_timezone_abbrevs', 'pg_am', 'pg_aggregate', 'pg_amop', 'pg_amproc',
      'pg_cast', 'pg_collation', 'pg_conversion', 'pg_language', 'pg_operator', 'pg_opclass', 'pg_opfamily', 'pg_range',
      'pg_ts_config', 'pg_ts_config_map', 'pg_ts_dict', 'pg_ts_parser', 'pg_ts_template', 'pg_available_extensions',
      'pg_available_extension_versions', 'pg_cursors', 'pg_prepared_statements'
  )
ORDER BY c.relname
