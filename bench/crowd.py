"""Requests of many clients at a steady pace, from a process of its own: `python -m bench.crowd`.

Reads a job per line from standard input and prints a result per line. Requests are begun when they are due, whether
or not earlier ones have been answered, so that a slow server cannot slow down those who ask; latency counts from then.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import IO, cast

import msgspec
import uvloop

from bench.events import make_bodies

PATIENCE_S = 60.0
EVENTS_PATH = "/api/v1/events"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one kind: each from one of `keys` at random, `rate` a second, at most `connections` under way.

    Shape: without `events` it asks `path`, else it posts so many events per request. What finds all connections busy
    is not sent, and counted as `unsent`.
    """

    keys: list[str]
    rate: float
    path: str = EVENTS_PATH
    events: int = 0
    connections: int = 64
    in_turn: bool = False


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Streams by name, all of them at once for some seconds."""

    port: int
    seconds: float
    seed: int
    now: datetime
    streams: dict[str, Stream]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a stream. Units: milliseconds of the answers that were successes; `retry_after` in seconds."""

    p50: float
    p95: float
    p99: float
    statuses: dict[str, int]
    retry_after: dict[str, int]


class _Flow:
    """One stream under way."""

    def __init__(self, job: Job, stream: Stream, seed: int) -> None:
        self._port, self._stream = job.port, stream
        self._count = int(stream.rate * job.seconds)
        bodies = make_bodies(seed, self._count, stream.events, job.now) if stream.events else [b""] * self._count
        rng = random.Random(seed)  # noqa: S311 - to be repeatable
        in_turn = (stream.keys[n % len(stream.keys)] for n in range(self._count))
        keys = in_turn if stream.in_turn else rng.choices(stream.keys, k=self._count)
        self._requests = [_request(stream, key, body) for key, body in zip(keys, bodies, strict=True)]
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._busy = 0
        self._ms: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._retry_after: Counter[str] = Counter()

    async def run(self) -> Outcome:
        """Send all when they are due."""
        began, tasks = time.perf_counter(), []
        for number, request in enumerate(self._requests):
            due = began + number / self._stream.rate
            if (wait_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            if self._busy >= self._stream.connections:
                self._statuses["unsent"] += 1
                continue
            self._busy += 1
            tasks.append(asyncio.create_task(self._send(request, due)))
        await asyncio.gather(*tasks)
        for _, writer in self._idle:
            writer.close()
        return self._outcome()

    async def _send(self, request: bytes, due: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                link = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
                link[1].write(request)
                head = await link[0].readuntil(b"\r\n\r\n")
                headers = _headers(head)
                await link[0].readexactly(int(headers.get("content-length", "0")))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self._statuses[type(error).__name__] += 1
        else:
            self._idle.append(link)
            status = head[9:12].decode()
            self._statuses[status] += 1
            if status[0] == "2":
                self._ms.append((time.perf_counter() - due) * 1000)
            if "retry-after" in headers:
                self._retry_after[headers["retry-after"]] += 1
        finally:
            self._busy -= 1

    def _outcome(self) -> Outcome:
        ordered = sorted(self._ms) or [0.0]
        parts = {f"p{part}": round(ordered[len(ordered) * part // 100], 1) for part in (50, 95, 99)}
        return Outcome(**parts, statuses=dict(self._statuses), retry_after=dict(self._retry_after))


def _request(stream: Stream, key: str, body: bytes) -> bytes:
    head = (
        f"{'POST' if stream.events else 'GET'} {stream.path} HTTP/1.1\r\n"
        f"Host: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _headers(head: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): text.strip() for name, _, text in lines}


async def run_job(job: Job) -> dict[str, Outcome]:
    """Run all streams of a job."""
    flows = [_Flow(job, stream, job.seed * 100 + n) for n, stream in enumerate(job.streams.values())]
    outcomes = await asyncio.gather(*(flow.run() for flow in flows))
    return dict(zip(job.streams, outcomes, strict=True))


class Crowd:
    """The process."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self._input, self._output = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        self._port = port
        self._seed = 0

    def run(self, seconds: float, now: datetime, **streams: Stream) -> dict[str, Outcome]:
        """Run streams for some seconds."""
        self._seed += 1
        job = Job(port=self._port, seconds=seconds, seed=self._seed, now=now, streams=streams)
        self._input.write(msgspec.json.encode(job).decode() + "\n")
        self._input.flush()
        return msgspec.json.decode(self._output.readline(), type=dict[str, Outcome])


@contextmanager
def open_crowd(port: int) -> Iterator[Crowd]:
    """Start the process and end it afterwards."""
    command = [sys.executable, "-m", "bench.crowd"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield Crowd(process, port)
        finally:
            cast("IO[str]", process.stdin).close()


def main() -> None:
    """Do jobs until the input ends."""
    for line in iter(sys.stdin.readline, ""):
        outcomes = uvloop.run(run_job(msgspec.json.decode(line, type=Job)))
        print(msgspec.json.encode(outcomes).decode(), flush=True)


if __name__ == "__main__":
    main()
