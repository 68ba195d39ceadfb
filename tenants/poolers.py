"""Tell whether a pooler such as PgBouncer stands before a database, where a statement's name may be another's.

Called by `tenants.databases` before it makes a pool: behind a pooler nothing is kept on the server between uses.
"""

import asyncio
from urllib.parse import urlsplit

import asyncpg


class Poolers:
    """Remembers of each server whether there is one."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._found: dict[str, bool] = {}
        self._looking: dict[str, asyncio.Lock] = {}

    async def stand_before(self, url: str) -> bool:
        """Look, at the first use of a server.

        Errors: those of connecting to it.
        """
        place = urlsplit(url).netloc.rpartition("@")[2]
        async with self._looking.setdefault(place, asyncio.Lock()):
            if place not in self._found:
                self._found[place] = await self._look(url)
        return self._found[place]

    async def _look(self, url: str) -> bool:
        """Compare who greeted us with who answers: a pooler greets with a number of its own."""
        connection = await asyncpg.connect(
            url, timeout=self._timeout_s, command_timeout=self._timeout_s, statement_cache_size=0,
            server_settings={"application_name": "grove"},
        )  # fmt: skip
        try:
            is_other = connection.get_server_pid() != await connection.fetchval("SELECT pg_catalog.pg_backend_pid()")
            await connection.close()
        finally:
            connection.terminate()
        return bool(is_other)
