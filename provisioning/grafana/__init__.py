"""A client's Grafana: its organisation, datasources, dashboards and people, made, compared and repaired."""
