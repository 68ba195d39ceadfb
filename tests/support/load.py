"""Senders that behave as real ones do: they repeat, with the same ids, what was not acknowledged, and keep a history.

Used by the fault tests. Connections are bare ones, so that a cut answer can be told from a clean end.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid4

import msgspec

from tests.support.history import History

EVENTS_PATH = "/api/v1/events"
HANG_S = 25.0


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionEnded(Exception):
    """The server closed the connection instead of answering; `received` is what had come of an answer.

    `reset` tells whether it did so without reading what had been sent.
    """

    def __init__(self, received: bytes, *, reset: bool = False) -> None:
        super().__init__(f"the connection ended after {len(received)} bytes of an answer")
        self.received = received
        self.reset = reset


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect.

        Errors: OSError.
        """
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, body: bytes, headers: Mapping[str, str], path: str = EVENTS_PATH) -> Answer:
        """Send a request and read its answer.

        Errors: ConnectionEnded.
        """
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"POST {path} HTTP/1.1\r\nHost: grove.test\r\nContent-Length: {len(body)}\r\n{''.join(lines)}\r\n"
        with suppress(ConnectionError):  # what matters is what can still be read
            self.writer.write(head.encode() + body)
            await self.writer.drain()
        return await self.read()

    async def read(self) -> Answer:
        """Read one answer.

        Errors: ConnectionEnded; TimeoutError after HANG_S.
        """
        received = b""
        try:
            async with asyncio.timeout(HANG_S):
                received = await self._reader.readuntil(b"\r\n\r\n")
                status, *lines = received.decode().rstrip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        except asyncio.IncompleteReadError as error:
            raise ConnectionEnded(received + error.partial) from error
        except ConnectionError as error:
            raise ConnectionEnded(received, reset=True) from error
        return Answer(int(status.split()[1]), headers, body)

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Outcome(NamedTuple):
    """How one request ended: a status, or 0 if none came."""

    at: float
    status: int
    seconds: float
    headers: Mapping[str, str]


class Load:
    """Concurrent senders of one client's events; `async with` runs them.

    Shape: who is refused waits for `pause_s` before it sends again; a real one would wait for `Retry-After`, a second
    at least.
    """

    def __init__(
        self,
        port: int,
        key: Mapping[str, str],
        *,
        connections: int = 8,
        events_per_request: int = 5,
        pause_s: float = 0.03,
    ) -> None:
        self.history = History()
        self.outcomes: list[Outcome] = []
        self.cut_answers: list[bytes] = []
        self.resets = 0
        self._port = port
        self._headers = {**key, "Content-Type": "application/json"}
        self._connections = connections
        self._events_per_request = events_per_request
        self._pause_s = pause_s
        self._ending = asyncio.Event()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        """Start sending."""
        self._tasks = [asyncio.create_task(self._send_on()) for _ in range(self._connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send nothing new, and wait until the requests under way have ended."""
        await self.end()

    async def end(self) -> None:
        """Send nothing new, and wait until the requests under way have ended; whatever a sender raised is raised."""
        self._ending.set()
        await asyncio.gather(*self._tasks)

    @property
    def acked(self) -> int:
        """How many requests were acknowledged."""
        return sum(outcome.status == 202 for outcome in self.outcomes)

    async def await_acked(self, more: int) -> None:
        """Wait until so many more requests have been acknowledged."""
        wanted = self.acked + more
        await self.await_that(lambda: self.acked >= wanted)

    async def await_acked_after(self, moment: float) -> float:
        """Wait for an acknowledgement after a moment (monotonic), and return when the first one came."""
        times: list[float] = []

        def has_come() -> bool:
            times[:] = [outcome.at for outcome in self.outcomes if outcome.status == 202 and outcome.at > moment]
            return bool(times)

        await self.await_that(has_come)
        return times[0]

    async def await_that(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; asked after every outcome."""
        async with asyncio.timeout(2 * HANG_S), self._changed:
            await self._changed.wait_for(holds)

    async def _send_on(self) -> None:
        connection: Connection | None = None
        while not self._ending.is_set():
            events = make_events([uuid4() for _ in range(self._events_per_request)])
            acked = False
            while not acked and not self._ending.is_set():
                try:
                    connection = connection or await Connection.open(self._port)
                except OSError:
                    await asyncio.sleep(self._pause_s)
                    continue
                outcome = await self._try(connection, events)
                acked = outcome.status == 202
                if outcome.status == 0:
                    await connection.close()
                    connection = None
                await self._note(outcome)
                if not acked:
                    await asyncio.sleep(self._pause_s)
        if connection is not None:
            await connection.close()

    async def _try(self, connection: Connection, events: list[bytes]) -> Outcome:
        attempt, started = self.history.begin(self._headers, events), time.monotonic()
        try:
            answer = await connection.post(attempt.body, self._headers)
        except ConnectionEnded as ended:
            if ended.received:
                self.cut_answers.append(ended.received)
            self.resets += ended.reset
            answer = Answer(0, {}, b"")
        attempt.end(answer.status, answer.body)
        now = time.monotonic()
        return Outcome(now, answer.status, now - started, answer.headers)

    async def _note(self, outcome: Outcome) -> None:
        async with self._changed:
            self.outcomes.append(outcome)
            self._changed.notify_all()


def make_events(ids: list[UUID], **fields: Any) -> list[bytes]:
    """Make page views of one session, with more fields if need be."""
    session_id = f"s-{ids[0]}"
    return [
        msgspec.json.encode(
            {"event_id": str(event_id), "name": "page_view", "session_id": session_id, "visitor_id": "v"} | fields
        )
        for event_id in ids
    ]
