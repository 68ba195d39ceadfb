-- What the platform's own dashboards read: who the clients are and how work goes, no secret, no key, no client's data.
GRANT USAGE ON SCHEMA grove, grove_jobs TO {{login}};
GRANT SELECT (id, name, status, timezone, grafana_org_id, created_at, suspended_at, delete_after)
    ON grove.clients TO {{login}};
GRANT SELECT (client_id, kind, server, revision) ON grove.placements TO {{login}};
GRANT SELECT (client_id, kind, created_at, expires_at, revoked_at, last_used_at) ON grove.api_keys TO {{login}};
GRANT SELECT (id, client_id, kind, state, created_at, started_at, finished_at, attempts, not_before)
    ON grove.operations TO {{login}};
GRANT SELECT (operation_id, position, name, state, attempts, last_error, started_at, finished_at)
    ON grove.operation_steps TO {{login}};
GRANT SELECT ON grove.outcome_hours TO {{login}};
GRANT SELECT (id, queue_name, task_name, status, scheduled_at, attempts) ON grove_jobs.procrastinate_jobs TO {{login}};
