"""Pools of connections to clients' databases, as small as a test needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from tenants.databases import Databases, Observer

QUERY_CONNECTIONS = 2


class Limits(msgspec.Struct, frozen=True):
    """How many connections each purpose may have."""

    ingest_connections: int
    query_connections: int


@asynccontextmanager
async def open_databases(
    ingest: int = 1, query: int = QUERY_CONNECTIONS, observe: Observer | None = None
) -> AsyncIterator[Databases]:
    """Open pools; of two connections for questions one client holds one."""
    databases = Databases(Limits(ingest_connections=ingest, query_connections=query), observe=observe)
    try:
        yield databases
    finally:
        await databases.close()
