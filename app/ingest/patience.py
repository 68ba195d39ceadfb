"""One limit of time for many waits, kept with one timer: a timer for each would cost more than most bodies.

Used where bodies are read. All waits have the same limit, so whoever began first is the first to be late.
"""

import asyncio
from collections.abc import Awaitable
from itertools import takewhile
from typing import Any, TypeVar, cast

_Awaited = TypeVar("_Awaited")


class Patience:
    """Waits no longer than `limit_s` for anything. One per event loop."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._due: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def wait_for(self, awaited: Awaitable[_Awaited]) -> _Awaited:
        """Wait for something within a task.

        Errors: TimeoutError; then what was awaited has been cancelled.
        """
        loop, task = asyncio.get_running_loop(), cast("asyncio.Task[Any]", asyncio.current_task())
        self._due[task] = loop.time() + self.limit_s
        if self._timer is None:
            self._timer = loop.call_later(self.limit_s, self._look, loop)
        try:
            return await awaited
        except asyncio.CancelledError as error:
            if task in self._due or task.uncancel():  # it was not our doing, or not ours alone
                raise
            raise TimeoutError from error
        finally:
            self._due.pop(task, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel who is late, and look again when the next one will be."""
        now = loop.time()
        for task in list(takewhile(lambda task: self._due[task] <= now, self._due)):
            del self._due[task]
            task.cancel()
        due = next(iter(self._due.values()), None)
        self._timer = None if due is None else loop.call_at(due, self._look, loop)
