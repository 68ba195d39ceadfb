"""Postgres and Valkey from their wheels, for a server that was given none.

Called by `app.supervisor`, the demo and the tests; production with `DATABASE_URL` and `REDIS_URL` starts nothing here.
"""
