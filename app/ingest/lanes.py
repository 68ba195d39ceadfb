"""One client's lane: a bounded queue, emptied by a flush at a time, or by two if they are large.

Made by the group commit. While a flush is under way the next one gathers; an idle lane dispatches at once, a busy one
soon. One that the database refuses is parted beside the queue.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from app.ingest.flush import Flush, Submission, Unstorable
from app.ingest.flush_ids import FlushIds
from app.ingest.outcomes import IngestAnswer
from app.ingest.parting import store_apart
from tenants.errors import StoreUnavailable
from tenants.placement import Placement

MAX_FLIGHTS = 2
# A flush costs as much as ten requests, so a busy lane waits a moment for those whom it has just answered: they are
# likely to send again. From so many events on, another one more makes no difference, and the flush need not wait for
# the one under way.
LINGER_S = 0.002
ENOUGH_EVENTS = 500
MOST_RETRY_AFTER_S = 60


class Sink(Protocol):
    """Where flushes go."""

    async def store(self, placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Store a flush; return each submission's answer.

        Errors: StoreUnavailable; Unstorable if the database refuses the content of an event, then nothing is stored.
        """

    async def sift(self, placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Store a flush without what the database refuses of it, however long it takes to find that.

        Errors: StoreUnavailable.
        """


class _Waiting:
    __slots__ = ("answer", "size", "submission")

    def __init__(self, submission: Submission, size: int, answer: asyncio.Future[IngestAnswer]) -> None:
        self.submission = submission
        self.size = size
        self.answer = answer


class _Flight(NamedTuple):
    requests: int
    began: float


class Lane:
    """One client's queue, emptied by flushes."""

    def __init__(self, placement: Placement, sink: Sink, ids: FlushIds, max_flush_events: int) -> None:
        self.placement = placement
        self.queued_events = 0
        self._sink = sink
        self._ids = ids
        self._max_flush_events = max_flush_events
        self._waiting: list[_Waiting] = []
        self._waiting_events = 0
        self._flights: dict[asyncio.Task[None], _Flight] = {}
        self._partings: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None
        self._at_once = 0
        self._pace_s = 0.0

    @property
    def retry_after_s(self) -> int:
        """Tell when all that is queued now will be written, at the pace of the last flush.

        Shape: not before as long again as one that is under way has taken already: it may be held up.
        """
        now = time.monotonic()
        held_up_s = max((now - flight.began for flight in self._flights.values()), default=0.0)
        return min(MOST_RETRY_AFTER_S, max(1, math.ceil(max(self.queued_events * self._pace_s, held_up_s))))

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self._waiting and not self._flights and not self._partings

    def put(self, submission: Submission, size: int) -> asyncio.Future[IngestAnswer]:
        """Queue a submission; its answer is there when its flush has ended."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[IngestAnswer] = loop.create_future()
        self._waiting.append(_Waiting(submission, size, answer))
        self._waiting_events += size
        self.queued_events += size
        if self._may_dispatch:
            self._schedule(loop)
        return answer

    @property
    def _may_dispatch(self) -> bool:
        """Whether another flush may go off: a second one only if it is large, since small ones cost as much each."""
        return not self._flights or (len(self._flights) < MAX_FLIGHTS and self._waiting_events >= ENOUGH_EVENTS)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Dispatch soon if enough are here, else after a moment, or when what is under way has ended."""
        if len(self._waiting) >= self._at_once or self._waiting_events >= ENOUGH_EVENTS:
            self._cancel_timer()
            # Soon rather than now, so that requests read in the same turn of the loop share the flush.
            self._timer = loop.call_soon(self._dispatch)
        elif self._timer is None and not self._flights:
            self._timer = loop.call_later(LINGER_S, self._dispatch)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _dispatch(self) -> None:
        self._cancel_timer()
        if self._waiting and self._may_dispatch:
            taken = self.take()
            self._flights[asyncio.create_task(self._write(taken))] = _Flight(len(taken), time.monotonic())

    def take(self) -> list[_Waiting]:
        """Take the next flush's submissions out of the queue."""
        taken, events = self._waiting, 0
        for count, waiting in enumerate(self._waiting):
            events += waiting.size
            if count and events > self._max_flush_events:
                taken = self._waiting[:count]
                break
        self._drop(taken)
        return taken

    def _drop(self, taken: list[_Waiting]) -> None:
        self._waiting = self._waiting[len(taken) :]
        self._waiting_events -= sum(waiting.size for waiting in taken)

    async def _write(self, taken: list[_Waiting]) -> None:
        began, events = time.monotonic(), sum(waiting.size for waiting in taken)
        try:
            await self._store(taken)
        except Unstorable:
            parting = asyncio.create_task(self._part(taken))
            self._partings.add(parting)
            parting.add_done_callback(self._partings.discard)
            taken = []
        except BaseException as error:
            if isinstance(error, StoreUnavailable):
                # Those behind it would only wait as long once more to be told the same.
                taken = taken + self._waiting
                self._drop(self._waiting)
            _refuse(taken, error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._pace_s = (time.monotonic() - began) / max(1, events)
            self._land(taken)

    async def _part(self, taken: list[_Waiting]) -> None:
        """Write what the database refuses as a whole, while the queue goes on."""
        try:
            await store_apart(taken, self._store, self._sift)
        except BaseException as error:
            _refuse(taken, error)
            if not isinstance(error, Exception):
                raise
        finally:
            self.queued_events -= sum(waiting.size for waiting in taken)

    async def _store(self, taken: Sequence[_Waiting]) -> None:
        _answer(taken, await self._sink.store(self.placement, self._make_flush(taken)))

    async def _sift(self, taken: Sequence[_Waiting]) -> None:
        _answer(taken, await self._sink.sift(self.placement, self._make_flush(taken)))

    def _make_flush(self, taken: Sequence[_Waiting]) -> Flush:
        return Flush(id=self._ids.next(), submissions=[waiting.submission for waiting in taken])

    def _land(self, taken: list[_Waiting]) -> None:
        self.queued_events -= sum(waiting.size for waiting in taken)
        self._at_once = sum(flight.requests for flight in self._flights.values()) + len(self._waiting)
        flight = asyncio.current_task()
        if flight is not None:
            del self._flights[flight]
        if self._waiting:
            self._schedule(asyncio.get_running_loop())

    async def drain(self) -> None:
        """Wait until the queue is empty."""
        while not self.idle:
            self._dispatch()
            under_way = {*self._flights, *self._partings}
            await (asyncio.wait(under_way) if under_way else asyncio.sleep(0))


def _answer(taken: Sequence[_Waiting], answers: list[IngestAnswer]) -> None:
    for waiting, answer in zip(taken, answers, strict=True):
        if not waiting.answer.done():
            waiting.answer.set_result(answer)


def _refuse(taken: list[_Waiting], error: BaseException) -> None:
    for waiting in taken:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
            # The one who asked may be gone; then nobody fetches the exception, and that is no fault.
            waiting.answer.exception()
