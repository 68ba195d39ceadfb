-- Functions that everybody may call and that tell of others' objects by number, or of the server's transactions and
-- times, store large objects or hold locks.
SELECT p.oid::regprocedure::text AS name
FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'pg_catalog'::regnamespace
  AND (p.proname ~ '^(pg_stat_|lo_|lo(read|write)$|pg_(try_)?advisory_|pg_(total_)?relation_size$|pg_(table|indexes|database|tablespace)_size$|pg_relation_file|pg_filenode_relation$|pg_get_(viewdef|functiondef|function_|ruledef|indexdef|triggerdef|partkeydef|partition_constraintdef|statisticsobjdef|userbyid|object_address|acl|serial_sequence|sequence_data|publication_tables|replica_identity_index|multixact_members)|pg_(describe|identify)_object|pg_partition_|pg_sequence_|pg_lock_status$|pg_(isolation_test_session_is_|safe_snapshot_)?block(ed|ing_pids)$|pg_prepared_xact$|pg_listening_channels$|pg_logical_emit_message$|pg_tablespace_(databases|location)$|pg_index(am)?_|pg_notify$|pg_export_snapshot$|pg_show_replication_origin_status$|pg_trigger_depth$|pg_xact_commit_timestamp|pg_current_(wal_|xact_id|snapshot)|pg_last_(wal_|xact_|committed_xact$)|pg_xact_status$|txid_(current|status)|mxid_age$|pg_(postmaster_start|conf_load)_time$|pg_control_|pg_get_replication_slots$|pg_get_wal_summarizer_state$|pg_available_wal_summaries$|pg_wal_summary_contents$)'
       OR p.oid = 'pg_catalog.age(pg_catalog.xid)'::regprocedure)
  AND pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY p.proname, p.oid
