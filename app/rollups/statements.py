"""The SQL of the rollups, written for a client."""

from functools import partial

from tenants.statements import write_statement

statement = partial(write_statement, "app.rollups")
