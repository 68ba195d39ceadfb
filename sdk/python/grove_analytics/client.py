"""The client: takes events at once, sends them from a thread of its own in batches."""

import atexit
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

import httpx

from grove_analytics.delivery import Delivery, Rejected, Verdict
from grove_analytics.events import write_event
from grove_analytics.spool import Spool

UNFORESEEN_PAUSE_S = 60.0
log = logging.getLogger("grove_analytics")


def log_rejected(rejected: Rejected) -> None:
    """Tell the log what the server will not store, without the event itself."""
    log.warning(
        "Rejected %s %s: %s at %s: %s",
        rejected.event.get("name"),
        rejected.event.get("event_id"),
        rejected.code,
        rejected.pointer or "/",
        rejected.detail,
    )


class Grove:
    """Sends a client's events to its Grove; one per process, safe for threads and for coroutines.

    An event is kept until the server has it; with a `spool` it also outlives the process. Each has an id, by which the
    server knows it again: none is stored twice. When `max_waiting` wait already, new ones are refused with a log line.
    `on_rejected` is told, in the sending thread, of each event that the server will not store.
    Units: seconds.
    """

    def __init__(  # noqa: PLR0913 - all but two have a default that fits
        self,
        key: str,
        url: str,
        *,
        spool: str | Path | None = None,
        batch_size: int = 100,
        linger_s: float = 1.0,
        timeout_s: float = 10.0,
        max_waiting: int = 100_000,
        on_rejected: Callable[[Rejected], None] = log_rejected,
    ) -> None:
        if not 1 <= batch_size <= 1_000:  # noqa: PLR2004 - what the server takes at once
            message = "batch_size must be from 1 to 1000."
            raise ValueError(message)
        self.refused = 0
        self._spool = Spool(None if spool is None else Path(spool))
        self._http = httpx.Client(timeout=timeout_s)
        self._delivery = Delivery(key, url, self._http)
        self._batch_size, self._linger_s, self._max_waiting = batch_size, linger_s, max_waiting
        self._on_rejected = on_rejected
        self._changed = Condition()
        self._hurries = self._closes = False
        self._thread = Thread(target=self._run, name="grove-analytics", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def track(
        self,
        name: str,
        *,
        session_id: str | None = None,
        visitor_id: str | None = None,
        user_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """Take an event; `fields` are any others that the API takes, as `amount`, `currency`, `page`, `occurred_at`.

        Errors: TypeError or ValueError for what JSON cannot say. The network is not waited for.
        """
        body = write_event(
            name,
            {
                "session_id": session_id,
                "visitor_id": visitor_id,
                "user_id": user_id,
                "properties": properties,
                **fields,
            },
        )
        if self.waiting >= self._max_waiting:
            self.refused += 1
            log.error("Refused %s: %d events wait for the server already.", name, self._max_waiting)
            return
        try:
            self._spool.put(body)
        except sqlite3.Error:  # a full disk must not stop who only wanted to count something
            self.refused += 1
            log.exception("Refused %s: the spool does not take it.", name)
            return
        with self._changed:
            self._changed.notify_all()

    def page(self, url: str, **fields: Any) -> None:
        """Take a page view."""
        self.track("page_view", page={"url": url}, **fields)

    def identify(self, user_id: str, traits: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Tell who somebody is."""
        self.track("identify", user_id=user_id, properties=traits, **fields)

    @property
    def waiting(self) -> int:
        """How many events the server does not have yet."""
        return len(self._spool)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Send what waits at once; tell whether the server has it all."""
        with self._changed:
            self._hurries = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self.waiting, timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what waits for so long, then stop; what is left stays in the spool. Done at the process's end too."""
        if self._closes:
            return
        atexit.unregister(self.close)
        if not self.flush(timeout_s):
            log.warning("Closed with %d events that the server does not have.", self.waiting)
        with self._changed:
            self._closes = True
            self._changed.notify_all()
        self._http.close()  # ends a request that is still under way
        self._thread.join(timeout_s)
        self._spool.close()

    def __enter__(self) -> Self:
        """Hand itself out."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what waits, and stop."""
        self.close()

    def _run(self) -> None:
        failure_pause_s = 0.0
        while self._await_turn(failure_pause_s):
            try:
                failure_pause_s = self._send_waiting()
            except Exception:
                log.exception("Sending failed in a way that was not foreseen; it is tried again.")
                failure_pause_s = UNFORESEEN_PAUSE_S
            with self._changed:
                self._changed.notify_all()

    def _await_turn(self, failure_pause_s: float) -> bool:
        """Wait until events are to be sent; tell whether they still are."""
        with self._changed:
            self._changed.wait_for(lambda: self._closes or self.waiting)
            self._changed.wait_for(
                lambda: self._closes or self._hurries or (not failure_pause_s and self.waiting >= self._batch_size),
                failure_pause_s or self._linger_s,
            )
            self._hurries = False
            return not self._closes

    def _send_waiting(self) -> float:
        """Send batch after batch until none waits or one fails; return the pause that follows from a failure."""
        size = self._batch_size
        while batch := self._spool.first(size):
            answer = self._delivery.send([body for _, body in batch])
            if answer.verdict is Verdict.AGAIN:
                log.warning("%d events wait, next attempt in %.1f s: %s", self.waiting, answer.pause_s, answer.trouble)
                return answer.pause_s
            if answer.verdict is Verdict.SPLIT:
                size = max(len(batch) // 2, 1)
                continue
            self._tell(answer.rejected)
            self._spool.drop([place for place, _ in batch])
            size = min(size * 2, self._batch_size)
        return 0.0

    def _tell(self, rejections: Sequence[Rejected]) -> None:
        for rejected in rejections:
            try:
                self._on_rejected(rejected)
            except Exception:
                log.exception("on_rejected failed.")
