-- What serving needs of the control plane: no client is deleted, no place or server changed, no audit entry rewritten.
GRANT USAGE ON SCHEMA grove TO {{login}};
GRANT SELECT ON grove.servers, grove.alembic_version TO {{login}};
GRANT SELECT, INSERT ON grove.revocations, grove.audit_log TO {{login}};
GRANT SELECT, INSERT, UPDATE ON grove.clients, grove.api_keys, grove.operations, grove.operation_steps TO {{login}};
GRANT SELECT, INSERT, UPDATE, DELETE ON grove.idempotency TO {{login}};
GRANT SELECT, INSERT, UPDATE ON grove.staff_sessions, grove.one_time_tokens, grove.rollup_marks TO {{login}};
GRANT SELECT, INSERT, UPDATE, DELETE ON grove.staff, grove.login_failures TO {{login}};
GRANT SELECT, INSERT, DELETE ON grove.outgoing_mail TO {{login}};
GRANT SELECT ON grove.dashboards_installed, grove.template_releases, grove.logos TO {{login}};
GRANT SELECT, INSERT, UPDATE, DELETE ON grove.event_schemas, grove.event_schema_versions, grove.adaptors,
    grove.webhook_sources TO {{login}};
GRANT SELECT, INSERT, UPDATE ON grove.service_tokens, grove.signing_keys TO {{login}};
GRANT USAGE ON SEQUENCE grove.revocations_seq_seq, grove.audit_log_id_seq, grove.flush_makers TO {{login}};
