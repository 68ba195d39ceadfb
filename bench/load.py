"""The load generator, a process of its own: `python -m bench.load` does one job after the other.

Reads a job per line from standard input, prepares its requests, says `ready`, waits for an empty line, sends them all
over keep-alive connections and prints a result per line. Parses no more of an answer than it must.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec
import uvloop

from bench.events import BROWSERS, Ids, make_bodies

PERCENTILES = (50, 95, 99)
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"
_PATIENCE_S = 60


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to send; by the `ids` of events a repeat of them can be told.

    Shape: with an `agent` browsers of that name send, from BROWSERS addresses; unless they are `told`, events say
    nothing of their visitors; without a `rate` (requests per second) each connection sends as soon as it is answered;
    with one, requests are due at even intervals whatever becomes of those before them, and their time counts from then
    on.
    """

    port: int
    path: str
    key: str
    seed: int
    requests: int
    events_per_request: int
    connections: int
    now: datetime
    ids: Ids = Ids.RANDOM
    rate: float | None = None
    agent: str | None = None
    told: bool = True


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Shape: `statuses` counts answers by status; `short` lists the requests (by index) that were not acknowledged whole.
    """

    seconds: float
    latency_ms: dict[str, float]
    statuses: dict[str, int]
    short: list[int]


class _Sender(asyncio.Protocol):
    """One connection: sends the next request as soon as the last one is answered."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._received = b""
        self._index = -1
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def start(self) -> None:
        """Send the next request, if there is one left."""
        self._index = self._run.take()
        if self._index < 0:
            self._transport.close()
            return
        self._sent_at = self._run.due(self._index)
        late_s = time.perf_counter() - self._sent_at
        if late_s < 0:
            asyncio.get_running_loop().call_later(-late_s, self._send)
        else:
            self._send()

    def _send(self) -> None:
        self._transport.write(self._run.requests[self._index])

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(_END_OF_HEAD)
        if head_end < 0:
            return
        at = self._received.lower().find(_LENGTH, 0, head_end)
        length = int(self._received[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        body_at = head_end + len(_END_OF_HEAD)
        if len(self._received) < body_at + length:
            return
        status, body = self._received[9:12], self._received[body_at:]
        self._run.note(self._index, time.perf_counter() - self._sent_at, status.decode(), body)
        self._received = b""
        self.start()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._index >= 0:
            self._run.note(self._index, time.perf_counter() - self._sent_at, "lost", b"")


class _Run:
    """One job's requests and what was answered."""

    def __init__(self, job: Job) -> None:
        size = job.events_per_request
        by_browsers = job.agent is not None
        bodies = make_bodies(job.seed, job.requests, size, job.now, job.ids, told=job.told, by_browsers=by_browsers)
        self.requests = [_request(job, body, index) for index, body in enumerate(bodies)]
        self._whole = b'"accepted":%d,' % job.events_per_request
        self._next = 0
        self._rate = job.rate
        self.began_at = 0.0
        self._seconds: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._short: list[int] = []
        self.done = asyncio.Event()

    def take(self) -> int:
        """Give out the index of the next request, or -1."""
        if self._next == len(self.requests):
            return -1
        self._next += 1
        return self._next - 1

    def due(self, index: int) -> float:
        """Tell when a request shall be sent: now, unless there is a rate."""
        return time.perf_counter() if self._rate is None else self.began_at + index / self._rate

    def note(self, index: int, seconds: float, status: str, body: bytes) -> None:
        """Write an answer down."""
        self._seconds.append(seconds)
        self._statuses[status] += 1
        if status != "202" or self._whole not in body:
            self._short.append(index)
        if len(self._seconds) == len(self.requests):
            self.done.set()

    def result(self, seconds: float) -> Result:
        """Sum up."""
        ordered = sorted(self._seconds)
        latency = {
            f"p{part}": round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)] * 1000, 2)
            for part in PERCENTILES
        }
        return Result(seconds=seconds, latency_ms=latency, statuses=dict(self._statuses), short=self._short)


def _request(job: Job, body: bytes, index: int) -> bytes:
    browser = ""
    if job.agent is not None:
        network, host = divmod(index % BROWSERS, 250)
        address = f"89.0.{network}.{host}"
        browser = f"User-Agent: {job.agent}\r\nX-Forwarded-For: {address}\r\n"
    head = (
        f"POST {job.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {job.key}\r\n{browser}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send_all(job: Job, wait_for_go: Callable[[], None]) -> Result:
    """Prepare, wait for the word, send everything and sum up."""
    run = _Run(job)
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: _Sender(run), "127.0.0.1", job.port) for _ in range(job.connections)]
    wait_for_go()
    started = run.began_at = time.perf_counter()
    for _, sender in opened:
        sender.start()
    async with asyncio.timeout(_PATIENCE_S):
        await run.done.wait()
    return run.result(time.perf_counter() - started)


def main() -> None:
    """Do jobs until the input ends."""
    encode = msgspec.json.Encoder().encode

    def wait_for_go() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    for line in iter(sys.stdin.readline, ""):
        result = uvloop.run(send_all(msgspec.json.decode(line, type=Job), wait_for_go))
        print(encode(result).decode(), flush=True)


if __name__ == "__main__":
    main()
