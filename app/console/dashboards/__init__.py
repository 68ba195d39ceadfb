"""The dashboards of `grafana-templates/` drawn by Grove itself, so that a client has them without any Grafana too."""
