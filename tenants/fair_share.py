"""Share the connections of one pool fairly among the clients that want them.

Called by `tenants.databases` for each pool. No client holds more than its most at once, so that others find room; and
when one becomes free, it goes to the waiting client that has had the least time for its share.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tenants.errors import QueueFull, StoreUnavailable
from tenants.ids import TenantId

# A page of dashboards asks some twenty questions at once.
MOST_WAITING = 200
MOST_RETRY_AFTER_S = 60
# So many clients are remembered without a look at who of them is idle.
FEW_CLIENTS = 100
# How much of the newest time goes into what is expected of the next.
_NEWEST = 0.2


class _Client:
    """One client's turns. `used_s` is for how long it has held connections, divided by its share."""

    def __init__(self) -> None:
        self.share = 1
        self.active = 0
        self.used_s = 0.0
        self.expected_s = 0.0
        self.waiting: deque[asyncio.Future[None]] = deque()


class FairShare:
    """Turns on `connections`, of which one client holds `most` at once."""

    def __init__(self, connections: int, *, most: int) -> None:
        self._free = connections
        self._most = most
        self._clients: dict[TenantId, _Client] = {}
        self._most_clients = FEW_CLIENTS
        self._waiting: dict[_Client, None] = {}  # those that wait for a turn
        self._served_s = 0.0  # what the client that was served last had used; who comes anew starts there

    @asynccontextmanager
    async def turn(self, tenant_id: TenantId, share: int, *, timeout_s: float) -> AsyncIterator[None]:
        """Hold a connection's place while the block runs.

        Errors: QueueFull if too much of this client waits, or if what it holds itself kept it waiting too long;
        StoreUnavailable if others did.
        """
        client = self._clients.get(tenant_id)
        if client is None:
            self._drop_idle()
            client = self._clients[tenant_id] = _Client()
        client.share = share
        await self._enter(client, timeout_s)
        began = time.monotonic()
        try:
            yield
        finally:
            held_s = time.monotonic() - began
            client.used_s += held_s / share
            client.expected_s += _NEWEST * (held_s - client.expected_s)
            self._leave(client)

    def is_crowded(self, tenant_id: TenantId) -> bool:
        """Whether more of a client waits than it may do at once."""
        client = self._clients.get(tenant_id)
        return client is not None and bool(client.waiting)

    @property
    def remembered(self) -> int:
        """How many clients are kept in mind."""
        return len(self._clients)

    def _drop_idle(self) -> None:
        """Forget clients that would start where those who come anew do; seldom, because all are looked at."""
        if len(self._clients) < self._most_clients:
            return
        self._clients = {
            tenant_id: client
            for tenant_id, client in self._clients.items()
            if client.active or client.waiting or client.used_s > self._served_s
        }
        self._most_clients = max(FEW_CLIENTS, 2 * len(self._clients))

    async def _enter(self, client: _Client, timeout_s: float) -> None:
        if not client.active and not client.waiting:
            client.used_s = max(client.used_s, self._served_s)
        if self._free and client.active < self._most and not client.waiting:
            self._give(client)
            return
        if len(client.waiting) >= MOST_WAITING:
            raise self._full(client)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client.waiting.append(place)
        self._waiting[client] = None
        try:
            async with asyncio.timeout(timeout_s):
                await place
        except BaseException as error:
            if place in client.waiting:
                self._take(client, place)
            elif not place.cancelled():
                self._leave(client)  # it was given in the very moment in which it was given up
            if not isinstance(error, TimeoutError):
                raise
            if client.active >= self._most:
                raise self._full(client) from error
            raise StoreUnavailable(retry_after_s=self._wait_s(client)) from error

    def _give(self, client: _Client) -> None:
        self._free -= 1
        client.active += 1
        self._served_s = max(self._served_s, client.used_s)

    def _leave(self, client: _Client) -> None:
        client.active -= 1
        self._free += 1
        while self._free:
            able = [each for each in self._waiting if each.active < self._most]
            if not able:
                return
            following = min(able, key=lambda each: each.used_s)
            place = following.waiting[0]
            self._take(following, place)
            if not place.done():
                place.set_result(None)
                self._give(following)

    def _take(self, client: _Client, place: asyncio.Future[None]) -> None:
        """Take somebody who waits out of the line."""
        client.waiting.remove(place)
        if not client.waiting:
            del self._waiting[client]

    def _wait_s(self, client: _Client) -> int:
        """Tell when all that waits of a client now will have had its turn, as far as its last ones tell."""
        expected_s = client.expected_s * (len(client.waiting) + client.active) / self._most
        return min(MOST_RETRY_AFTER_S, max(1, math.ceil(expected_s)))

    def _full(self, client: _Client) -> QueueFull:
        return QueueFull(self._wait_s(client), "Too much of this client waits for its database at this moment.")
