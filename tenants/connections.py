"""Connections to one database under one login, opened when they are needed and closed when idle.

Called by `tenants.databases`. Postgres builds up, for each connection, what it knows of each client's tables and
statements, and forgets it only with the connection: so a client gets one that knows it, where one is free, and a
connection that knows too many clients is replaced.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

IDLE_CLOSE_S = 60.0
# With this part of the clients that it may know, a connection is joined by another one, while there may be more.
_SPREAD = 4

Connect = Callable[[], Awaitable[Any]]


class Link:
    """A connection, the schemas that it knows, and the moment at which it is closed for being idle."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.schemas: set[str] = set()
        self.end: asyncio.TimerHandle | None = None


class Connections:
    """Hands out connections, as many as are asked for at once; a connection knows `most_clients` at most."""

    def __init__(self, connect: Connect, *, most: int, most_clients: int) -> None:
        self._connect = connect
        self._most = most
        self._most_clients = most_clients
        self._idle: list[Link] = []
        self._busy: set[Link] = set()
        self._opening = 0
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._closed = False

    @asynccontextmanager
    async def use(self, schema: str) -> AsyncIterator[Any]:
        """Lend a connection for a unit of work in a schema.

        Errors: InterfaceError once it is closed; what connecting raises.
        """
        self._check_open()
        link = self._take(schema) or await self._open()
        link.schemas.add(schema)
        self._busy.add(link)
        self._nobody.clear()
        try:
            yield link.raw
        finally:
            self._give_back(link)

    async def close(self, limit_s: float) -> None:
        """Close them all; those who use one may finish within a limit."""
        self._closed = True
        for link in self._idle:
            _end(link)
        self._idle.clear()
        try:
            async with asyncio.timeout(limit_s):
                await self._nobody.wait()
        except TimeoutError:
            for link in list(self._busy):
                link.raw.terminate()

    async def _open(self) -> Link:
        self._opening += 1
        try:
            link = Link(await self._connect())
        finally:
            self._opening -= 1
        try:
            self._check_open()
        except asyncpg.InterfaceError:
            _end(link)
            raise
        return link

    def _check_open(self) -> None:
        if self._closed:
            message = "the connections are closed"
            raise asyncpg.InterfaceError(message)

    def _take(self, schema: str) -> Link | None:
        """Take an idle connection: one that knows the schema, else the one that knows least, if it has room.

        Shape: clients are spread over further connections before any of these knows as many as it may.
        """
        for lost in [link for link in self._idle if link.raw.is_closed()]:
            self._expire(lost)
        knowing = [link for link in self._idle if schema in link.schemas]
        link = knowing[-1] if knowing else min(self._idle, key=lambda each: len(each.schemas), default=None)
        if link is None:
            return None
        if not knowing:
            all_open = len(self._idle) + len(self._busy) + self._opening >= self._most
            if not all_open and len(link.schemas) >= self._most_clients // _SPREAD:
                return None
            if len(link.schemas) >= self._most_clients:
                self._expire(link)
                return None
        self._idle.remove(link)
        if link.end is not None:
            link.end.cancel()
        return link

    def _give_back(self, link: Link) -> None:
        self._busy.discard(link)
        if not self._busy:
            self._nobody.set()
        if self._closed or link.raw.is_closed() or link.raw.is_in_transaction():
            link.raw.terminate()
            return
        link.end = asyncio.get_running_loop().call_later(IDLE_CLOSE_S, self._expire, link)
        self._idle.append(link)

    def _expire(self, link: Link) -> None:
        self._idle.remove(link)
        _end(link)


def _end(link: Link) -> None:
    """Close a connection that nobody uses."""
    if link.end is not None:
        link.end.cancel()
    link.raw.terminate()
