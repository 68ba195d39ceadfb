"""The measurements, in rounds: each round does all of them once, so that a noisy minute hits both sides of a ratio."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from statistics import median

import msgspec

from bench.bare import ASGI_PATH, HANDLER_PATH
from bench.events import make_events
from bench.limits import make_records, measure_copy, measure_insert_tail, measure_inserts
from bench.load import Job, Result
from bench.stand import Stand

EVENTS_PATH = "/api/v1/events"
CONNECTIONS = 32
# A public endpoint is reached over hundreds of connections: that is what the aims of single posts are for.
MANY_CONNECTIONS = 256
BATCH = 100
COSTS = (
    "batches", "batches_two", "singles", "singles_two", "singles_32", "singles_two_32", "bare_asgi", "bare_handler",
    "bare_asgi_32", "bare_handler_32",
)  # fmt: skip
Clock = Callable[[], datetime]


class Sizes(msgspec.Struct, frozen=True):
    """How much of each is done in a round."""

    rounds: int = 3
    batches: int = 500
    singles: int = 15_000
    bare: int = 30_000
    handler: int = 10_000
    lone: int = 2_000
    crowd: int = 10_000
    paced_s: int = 10
    rest_s: int = 5


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found.

    Units: rates are events, rows or requests per second; CPU is seconds per 100,000 events; all are medians of the
    rounds, but for `latency_ms`.
    """

    rates: dict[str, float]
    ratios: dict[str, float]
    half_load: dict[str, float]
    cpu_s_per_100k: dict[str, dict[str, float]]
    latency_ms: dict[str, dict[str, float]]
    stored: dict[str, int]
    statuses: dict[str, int]


class Rounds:
    """Runs the measurements and remembers every figure."""

    def __init__(self, stand: Stand, pair: Stand, sizes: Sizes, clock: Clock, schemas: dict[str, str]) -> None:
        self._stand = stand
        self._pair = pair  # the same with two web processes
        self._sizes = sizes
        self._clock = clock
        self._schemas = schemas
        self._seed = 0
        self._rates: dict[str, list[float]] = defaultdict(list)
        self._cpu: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._latency: dict[str, dict[str, float]] = {}
        self._half_load: dict[str, list[float]] = defaultdict(list)
        self._jobs: list[tuple[Job, Result]] = []

    async def warm_up(self) -> None:
        """Open pools, fill caches, compile statements."""
        self._send("warm-up", EVENTS_PATH, 20, BATCH)
        self._send("warm-up", EVENTS_PATH, 500, 1)
        self._send("warm-up", ASGI_PATH, 500, 1)
        self._send("warm-up", HANDLER_PATH, 500, 1)
        self._send("warm-up", EVENTS_PATH, 20, BATCH, on=self._pair)
        self._send("warm-up", EVENTS_PATH, 1_000, 1, on=self._pair)

    async def run_round(self, number: int) -> None:
        """Measure everything once; which side of a ratio comes first alternates."""
        steps = [self._batches, self._copy, self._singles, self._inserts, self._bare, self._two_processes]
        for step in steps if number % 2 == 0 else reversed(steps):
            await step()
        await self._pace()

    async def measure_latency(self) -> None:
        """Send single posts from one client, then from many at once."""
        for name, connections, requests in (("1", 1, self._sizes.lone), ("200", 200, self._sizes.crowd)):
            result = self._send("latency", EVENTS_PATH, requests, 1, connections)
            self._latency[name] = result.latency_ms

    async def report(self) -> Report:
        """Sum up and check the store."""
        rates = {name: median(values) for name, values in self._rates.items() if name not in {"warm-up", "latency"}}
        least = min(rates["pgbench"], rates["bare_handler"])
        least_32 = min(rates["pgbench"], rates["bare_handler_32"])
        statuses: dict[str, int] = defaultdict(int)
        for _, result in self._jobs:
            for status, count in result.statuses.items():
                statuses[status] += count
        return Report(
            half_load={name: median(values) for name, values in self._half_load.items()},
            rates={name: round(rate) for name, rate in rates.items()},
            ratios={
                "batches_to_copy": round(rates["batches"] / rates["copy_100"], 3),
                "singles_to_least": round(rates["singles"] / least, 3),
                "singles_two_to_least": round(rates["singles_two"] / least, 3),
                "singles_32_to_least": round(rates["singles_32"] / least_32, 3),
                "singles_two_32_to_least": round(rates["singles_two_32"] / least_32, 3),
                "singles_to_pgbench": round(rates["singles"] / rates["pgbench"], 3),
                "singles_to_bare_asgi": round(rates["singles"] / rates["bare_asgi"], 3),
                "singles_to_bare_handler": round(rates["singles"] / rates["bare_handler"], 3),
                "cpu_singles_two_to_one": round(self._cpu_sum("singles_two") / self._cpu_sum("singles"), 3),
                "cpu_singles_32_two_to_one": round(self._cpu_sum("singles_two_32") / self._cpu_sum("singles_32"), 3),
                "cpu_batches_two_to_one": round(self._cpu_sum("batches_two") / self._cpu_sum("batches"), 3),
            },
            cpu_s_per_100k={name: self._cpu_of(name) for name in COSTS},
            latency_ms=self._latency,
            stored=await self._stand.count_missing(self._schemas["taker"], self._jobs),
            statuses=dict(statuses),
        )

    async def _pace(self) -> None:
        """Send half as many single posts as could be taken, and have `pgbench` do half of what it could."""
        rate = median(self._rates["singles"]) / 2
        await asyncio.sleep(self._sizes.rest_s)  # until the worker has done with what came before
        self._stand.waits_ms()
        result = self._send("latency", EVENTS_PATH, round(rate * self._sizes.paced_s), 1, MANY_CONNECTIONS, rate=rate)
        waits = sorted(self._stand.waits_ms())
        inserts = measure_insert_tail(
            self._stand.pgbench,
            self._stand.url,
            self._schemas["inserter"],
            rate=median(self._rates["pgbench"]) / 2,
            seconds=self._sizes.paced_s,
        )
        found = {
            "rate": round(rate),
            "ack_p50_ms": result.latency_ms["p50"],
            "ack_p99_ms": result.latency_ms["p99"],
            "group_commit_p50_ms": round(waits[len(waits) // 2], 2),
            "group_commit_p99_ms": round(waits[len(waits) * 99 // 100], 2),
            "pgbench_p50_ms": round(inserts[len(inserts) // 2], 2),
            "pgbench_p99_ms": round(inserts[len(inserts) * 99 // 100], 2),
        }
        for name, value in found.items():
            self._half_load[name].append(value)

    async def _batches(self) -> None:
        self._send("batches", EVENTS_PATH, self._sizes.batches, BATCH)

    async def _singles(self) -> None:
        self._send("singles", EVENTS_PATH, self._sizes.singles, 1, MANY_CONNECTIONS)
        self._send("singles_32", EVENTS_PATH, self._sizes.singles, 1)

    async def _bare(self) -> None:
        self._send("bare_asgi", ASGI_PATH, self._sizes.bare, 1, MANY_CONNECTIONS)
        self._send("bare_asgi_32", ASGI_PATH, self._sizes.bare, 1)
        self._send("bare_handler", HANDLER_PATH, self._sizes.handler, 1, MANY_CONNECTIONS)
        self._send("bare_handler_32", HANDLER_PATH, self._sizes.handler, 1)

    async def _copy(self) -> None:
        now = self._clock()
        records = make_records(make_events(self._next_seed(), self._sizes.batches * BATCH, now), now)
        for batch in (BATCH, 1_000, len(records)):
            rate = await measure_copy(self._stand.url, self._schemas["copier"], records, batch)
            self._rates["copy_all" if batch == len(records) else f"copy_{batch}"].append(rate)

    async def _inserts(self) -> None:
        rate = measure_inserts(self._stand.pgbench, self._stand.url, self._schemas["inserter"])
        self._rates["pgbench"].append(rate)

    async def _two_processes(self) -> None:
        self._send("batches_two", EVENTS_PATH, self._sizes.batches, BATCH, on=self._pair)
        self._send("singles_two", EVENTS_PATH, self._sizes.singles, 1, MANY_CONNECTIONS, on=self._pair)
        self._send("singles_two_32", EVENTS_PATH, self._sizes.singles, 1, on=self._pair)

    def _send(
        self,
        name: str,
        path: str,
        requests: int,
        events_per_request: int,
        connections: int = CONNECTIONS,
        *,
        rate: float | None = None,
        on: Stand | None = None,
    ) -> Result:
        stand = on or self._stand
        job = Job(
            port=stand.port,
            path=path,
            key=stand.key,
            seed=self._next_seed(),
            requests=requests,
            events_per_request=events_per_request,
            connections=connections,
            now=self._clock(),
            rate=rate,
        )
        stand.load.prepare(job)
        web, postgres = stand.cpu()
        result = stand.load.go()
        web_after, postgres_after = stand.cpu()
        events = requests * events_per_request
        self._rates[name].append(events / result.seconds)
        self._cpu[name].append(((web_after - web) / events, (postgres_after - postgres) / events))
        if path == EVENTS_PATH and stand is self._stand:
            self._jobs.append((job, result))
        return result

    def _cpu_of(self, name: str) -> dict[str, float]:
        web, postgres = zip(*self._cpu[name], strict=True)
        return {"server": round(median(web) * 100_000, 2), "postgres": round(median(postgres) * 100_000, 2)}

    def _cpu_sum(self, name: str) -> float:
        return median(web + postgres for web, postgres in self._cpu[name])

    def _next_seed(self) -> int:
        self._seed += 1
        return self._seed
