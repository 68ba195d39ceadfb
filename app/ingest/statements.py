"""The SQL of this package, written for a client. Used by whatever touches a client's tables."""

from functools import partial

from tenants.statements import write_statement

statement = partial(write_statement, "app.ingest")
