"""Pages that a client's staff see, rendered here and under the client's brand: login, invitation, dashboards."""
