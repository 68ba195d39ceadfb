"""Keep clients whose writes are held up (a locked table, a statement without end) from taking all connections.

Called by `tenants.databases`: those that were held up last time share half of a database's connections until a write
of theirs succeeds, so that the others need not wait behind them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tenants.placement import Placement

# What ends a write that waited in vain, as opposed to one that was refused or lost its connection.
HELD_UP = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, TimeoutError)


class HeldUp:
    """Remembers whose last write was held up. `connections` is how many each database has for writes."""

    def __init__(self, connections: int) -> None:
        self._share = max(1, connections // 2)
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._clients: set[str] = set()

    @asynccontextmanager
    async def turn(self, placement: Placement, *, timeout_s: float) -> AsyncIterator[None]:
        """Wait, before taking a connection, for one of those that the client may have.

        Errors: TimeoutError.
        """
        if placement.tenant_id not in self._clients:
            yield
            return
        turns = self._turns.setdefault(placement.serve_url, asyncio.Semaphore(self._share))
        async with asyncio.timeout(timeout_s):
            await turns.acquire()
        try:
            yield
        finally:
            turns.release()

    def note(self, placement: Placement, *, held_up: bool) -> None:
        """Remember how a client's write ended."""
        if held_up:
            self._clients.add(placement.tenant_id)
        else:
            self._clients.discard(placement.tenant_id)
