"""Postgres and Valkey from their wheels, for a server that was given none, and a Grafana of this machine for the demo.

Called by `app.supervisor`, the demo and the tests; production with `DATABASE_URL` and `REDIS_URL` starts nothing here.
"""
