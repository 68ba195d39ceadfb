"""Let those who need the same row of the control plane at once share one reading of it.

Called by the keyring and the registry. While revocations cannot be heard of, every request has to look its key and its
client up: without this, one client's crowd would stand before all others in the line for a connection.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

# A reading that is older may not know what was revoked since: that is to be known within a second.
JOINED_FOR_S = 0.5

Found = TypeVar("Found")


class SharedLookups(Generic[Found]):
    """Readings that are under way, by what they read."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, tuple[float, asyncio.Task[Found]]] = {}

    async def find(self, what: Hashable, look_up: Callable[[], Awaitable[Found]]) -> Found:
        """Join a reading that has just begun, or begin one; who goes away ends it for nobody.

        Errors: those of `look_up`.
        """
        began, task = self._under_way.get(what, (0.0, None))
        if task is None or task.done() or time.monotonic() - began > JOINED_FOR_S:
            task = asyncio.ensure_future(_read(look_up))
            self._under_way[what] = time.monotonic(), task
            task.add_done_callback(lambda done: self._forget(what, done))
        return await asyncio.shield(task)

    def _forget(self, what: Hashable, done: "asyncio.Task[Found]") -> None:
        if self._under_way.get(what, (0.0, None))[1] is done:
            del self._under_way[what]
        if not done.cancelled():
            done.exception()  # all who asked may be gone; then nobody fetches it, and that is no fault


async def _read(look_up: Callable[[], Awaitable[Found]]) -> Found:
    return await look_up()
