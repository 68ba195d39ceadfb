"""How many questions of one person, and of one client, are with Grafana at once; others wait a while, in order.

Called by `app.gateway.gateway`. Without it one client's endless questions would hold every connection there is.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from app.auth.sessions import StaffMember
from tenants.errors import QueueFull

OF_PERSON = 12
OF_CLIENT = 24
# A page asks for some sixty files and a dozen answers.
WAITING = 100
WAIT_S = 10.0
_RETRY_AFTER_S = 5


class _Lane:
    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.people = 0


class Turns:
    """Places by person and by client. One per process."""

    def __init__(self, *, of_person: int = OF_PERSON, of_client: int = OF_CLIENT, wait_s: float = WAIT_S) -> None:
        self._of_person = of_person
        self._of_client = of_client
        self._wait_s = wait_s
        self._lanes: dict[Hashable, _Lane] = {}

    @asynccontextmanager
    async def take(self, member: StaffMember) -> AsyncIterator[None]:
        """Hold a place while the block runs.

        Errors: QueueFull if too many wait already, or if none became free in time.
        """
        async with (
            self._place(member.staff_id, self._of_person),
            self._place(member.client_id, self._of_client),
        ):
            yield

    @asynccontextmanager
    async def _place(self, whose: Hashable, places: int) -> AsyncIterator[None]:
        lane = self._lanes.setdefault(whose, _Lane(places))
        if lane.people >= places + WAITING:
            raise _full()
        lane.people += 1
        try:
            try:
                async with asyncio.timeout(self._wait_s):
                    await lane.places.acquire()
            except TimeoutError as error:
                raise _full() from error
            try:
                yield
            finally:
                lane.places.release()
        finally:
            lane.people -= 1
            if not lane.people:
                del self._lanes[whose]


def _full() -> QueueFull:
    return QueueFull(_RETRY_AFTER_S, "Too many questions are being answered at this moment.")
