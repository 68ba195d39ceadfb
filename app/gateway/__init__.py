"""The gateway in front of Grafana: the only way in, for a client's staff, to that client's organisation."""
