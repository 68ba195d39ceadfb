"""A meter inside the web process: how much CPU its main thread spends in each step of an event's way.

Loaded by the web process that `bench.profile` starts; it wraps the functions that are the steps, so that the product
itself knows nothing of it. Time within a step that is another step's counts for that one alone.
"""

import inspect
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import asyncpg
import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from app.auth.limiter import Limiter
from app.ingest import group_commit, routes, sink, tables
from app.ingest.routes import Collection
from app.observability import Observability
from bench import bare
from tenants import databases
from tenants.databases import Databases
from tenants.keyring import Keyring

STEPS_PATH = "/bench/steps"
ELSEWHERE = "event loop, driver's sockets, granian's Python"
_Name = Callable[[tuple[Any, ...]], str]


class Spent(msgspec.Struct):
    """What a step took so far.

    Units: `cpu_ns` is this step's own, without what it cost to measure; `wall_ns` is with all that it waited for.
    """

    cpu_ns: int = 0
    wall_ns: int = 0
    calls: int = 0


class Meter:
    """Charges the main thread's CPU time to one step at a time."""

    def __init__(self) -> None:
        self.steps: dict[str, Spent] = defaultdict(Spent)
        self._now = ELSEWHERE
        self._since = time.thread_time_ns()
        self._cost_ns = self._calibrate()

    def enter(self, name: str) -> str:
        """Charge what was spent to the step that was on, begin this one, and return the other."""
        at = time.thread_time_ns()
        self.steps[self._now].cpu_ns += at - self._since
        left, self._now, self._since = self._now, name, at
        return left

    def wrap(self, owner: Any, attribute: str, name: str | _Name) -> None:
        """Have a function or method, also an asynchronous one, counted as a step."""
        wrapped = getattr(owner, attribute)
        setattr(owner, attribute, (self._later if inspect.iscoroutinefunction(wrapped) else self._now_)(wrapped, name))

    def _now_(self, wrapped: Callable[..., Any], name: str | _Name) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            step = name if isinstance(name, str) else name(args)
            spent, started = self.steps[step], time.perf_counter_ns()
            left = self.enter(step)
            try:
                return wrapped(*args, **options)
            finally:
                self.enter(left)
                spent.calls += 1
                spent.cpu_ns -= self._cost_ns
                spent.wall_ns += time.perf_counter_ns() - started

        return timed

    def _later(self, wrapped: Callable[..., Awaitable[Any]], name: str | _Name) -> Callable[..., Any]:
        async def timed(*args: Any, **options: Any) -> Any:
            step = name if isinstance(name, str) else name(args)
            spent, started = self.steps[step], time.perf_counter_ns()
            try:
                return await _Stepwise(self, step, wrapped(*args, **options))
            finally:
                spent.calls += 1
                spent.wall_ns += time.perf_counter_ns() - started

        return timed

    def _calibrate(self) -> int:
        tries = 20_000
        started = time.thread_time_ns()
        for _ in range(tries):
            self.enter(self.enter(ELSEWHERE))
        self.steps.clear()
        return (time.thread_time_ns() - started) // tries

    @property
    def cost_ns(self) -> int:
        """What measuring one step once costs."""
        return self._cost_ns


class _Stepwise:
    """Awaits something, counting only the time in which it runs."""

    def __init__(self, meter: Meter, step: str, awaited: Awaitable[Any]) -> None:
        self._meter = meter
        self._step = step
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        inner, meter, send = self._awaited.__await__(), self._meter, None
        failure: BaseException | None = None
        while True:
            left = meter.enter(self._step)
            try:
                waits_for = inner.send(send) if failure is None else inner.throw(failure)
            except StopIteration as end:
                value: object = end.value
                return value
            finally:
                meter.enter(left)
                meter.steps[self._step].cpu_ns -= meter.cost_ns
            send, failure = None, None
            try:
                send = yield waits_for
            except BaseException as error:  # noqa: BLE001 - handed on to what is awaited
                failure = error


def _said(args: tuple[Any, ...]) -> str:
    """Name a statement: its first words, or what the comment at its beginning says."""
    said = str(args[1])
    if said.startswith("--"):
        return "statement: " + said[2:].partition("\n")[0].strip()[:60]
    if "COPY " in said:
        return "statement: COPY " + said.partition("COPY ")[2].split('"')[3]
    return "statement: " + said.split(None, 1)[0].strip(";")


def install(meter: Meter) -> None:
    """Wrap the steps."""
    meter.wrap(Observability, "__call__", "request id, measurement, dispatch")
    meter.wrap(Collection, "__call__", "the journey itself")
    meter.wrap(Keyring, "verify", "key check")
    meter.wrap(Limiter, "admit", "limiter")
    meter.wrap(Limiter, "refuse_early", "limiter")
    meter.wrap(routes, "read_body", "body")
    meter.wrap(routes, "split_events", "split")
    meter.wrap(routes, "read_event", "decode, check, fill in")
    meter.wrap(routes, "_encode", "answer")
    meter.wrap(routes, "_answer", "answer")
    meter.wrap(group_commit.GroupCommit, "submit", "group commit")
    meter.wrap(sink.PostgresSink, "store", "flush: the rest of it")
    for name in ("settle", "count_outcomes", "fold_web", "fold_chat"):
        meter.wrap(tables, name, f"flush: {name}")
    meter.wrap(sink, "answers", "flush: answers")
    meter.wrap(asyncpg.Connection, "execute", _said)
    meter.wrap(asyncpg.Connection, "fetchval", _said)
    meter.wrap(asyncpg.Connection, "fetchrow", _said)
    meter.wrap(databases.PooledConnection, "copy_rows", _said)
    meter.wrap(Databases, "_pool", "flush: the rest of it")


def create() -> ASGIApp:
    """Build the application of the profile's web process."""
    meter = Meter()
    install(meter)

    async def tell(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's three
        content = msgspec.json.encode(meter.steps)
        meter.steps.clear()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content, "more_body": False})

    return bare.create({STEPS_PATH: tell})
