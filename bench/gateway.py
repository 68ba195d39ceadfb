"""`make bench WHAT=gateway`: what the gateway adds to a real Grafana, measured side by side in one run.

Prints the milliseconds that it adds to a request at p50 (aim: 2 at most), and the share of direct Grafana's throughput
that it keeps for whole loads of a dashboard, as a browser makes them (aim: 0.85). Needs a Grafana here.
"""

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import click
import msgspec
from rich.console import Console
from yarl import URL

from provisioning.grafana.visit import login_prefix
from tests.support.engines import throwaway_postgres
from tests.support.grafana import Target, missing_reason, real_grafana
from tests.support.site import Site, open_site

MOST_ADDED_MS, LEAST_SHARE = 2.0, 0.85
# As a browser has it: so many requests of a page at once.
AT_ONCE = 6
BROWSERS = 2
DATA = (
    "/api/user/preferences",
    "/api/dashboards/home",
    "/api/dashboards/uid/user-events",
    "/api/annotations?limit=100",
)
QUERY = {
    "from": "now-7d",
    "to": "now",
    "queries": [
        {"refId": "A", "datasource": {"uid": "analytics"}, "rawSql": "SELECT count(*) FROM events", "format": "table"}
    ],
}
PANELS = 5
_SCRIPT = re.compile(r'(?:src|href)="(public/build/[^"]+)"')


class Report(msgspec.Struct, kw_only=True):
    """What was measured."""

    direct_p50_ms: float
    gateway_p50_ms: float
    added_p50_ms: float
    direct_loads_per_s: float
    gateway_loads_per_s: float
    share: float
    requests_per_load: int


class Way:
    """One way to a client's Grafana."""

    def __init__(self, http: aiohttp.ClientSession, base: str, headers: dict[str, str]) -> None:
        self._http = http
        self._base = base
        self._headers = headers | {"Accept-Encoding": "gzip"}

    async def get(self, path: str, accept: str = "application/json") -> bytes:
        """Ask for something and read all of it."""
        url = URL(self._base + path, encoded=True)
        async with self._http.get(url, headers=self._headers | {"Accept": accept}) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def query(self) -> None:
        """Ask for a panel's figures."""
        async with self._http.post(self._base + "/api/ds/query", json=QUERY, headers=self._headers) as answer:
            answer.raise_for_status()
            await answer.read()

    async def load(self) -> int:
        """Open a dashboard with an empty cache, and return how many requests that took."""
        page = (await self.get("/d/user-events", "text/html")).decode()
        files = sorted({f"/{name}" for name in _SCRIPT.findall(page)})
        await at_once([lambda path=path: self.get(path, "*/*") for path in files])  # type: ignore[misc]
        await at_once([lambda path=path: self.get(path) for path in DATA])  # type: ignore[misc]
        await at_once([self.query] * PANELS)
        return 1 + len(files) + len(DATA) + PANELS


async def at_once(jobs: list[Callable[[], Awaitable[object]]]) -> None:
    """Do a page's requests, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(job: Callable[[], Awaitable[object]]) -> None:
        async with gate:
            await job()

    await asyncio.gather(*(one(job) for job in jobs))


async def time_requests(direct: Way, gateway: Way, rounds: int) -> tuple[float, float]:
    """Ask for the same small thing by both ways in turn; return the medians in milliseconds."""
    times: dict[Way, list[float]] = {direct: [], gateway: []}
    for _ in range(rounds):
        for way, taken in times.items():
            started = time.perf_counter()
            await way.get(DATA[0])
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[direct]), statistics.median(times[gateway])


async def time_loads(direct: Way, gateway: Way, rounds: int) -> tuple[float, float, int]:
    """Load a dashboard by both ways in turn, some browsers at once; return loads a second of each."""
    seconds = {direct: 0.0, gateway: 0.0}
    requests = 0
    for _ in range(rounds):
        for way in seconds:
            started = time.perf_counter()
            requests = (await asyncio.gather(*(way.load() for _ in range(BROWSERS))))[0]
            seconds[way] += time.perf_counter() - started
    loads = rounds * BROWSERS
    return loads / seconds[direct], loads / seconds[gateway], requests


async def measure(target: Target, site: Site, rounds: int) -> Report:
    """Measure both ways."""
    tenant = site.maple
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        direct = Way(http, target.url, {"X-WEBAUTH-USER": f"{login_prefix(tenant.id)}{tenant.viewer}"})
        cookie = {"Cookie": await site.cookie(tenant), "Origin": site.url}
        gateway = Way(http, f"{site.url}/{tenant.id}/grafana", cookie)
        await time_loads(direct, gateway, 1)  # caches are warm, connections open
        direct_ms, gateway_ms = await time_requests(direct, gateway, rounds * 10)
        direct_loads, gateway_loads, requests = await time_loads(direct, gateway, rounds)
    return Report(
        direct_p50_ms=round(direct_ms, 2),
        gateway_p50_ms=round(gateway_ms, 2),
        added_p50_ms=round(gateway_ms - direct_ms, 2),
        direct_loads_per_s=round(direct_loads, 2),
        gateway_loads_per_s=round(gateway_loads, 2),
        share=round(gateway_loads / direct_loads, 3),
        requests_per_load=requests,
    )


@click.command()
@click.option("--rounds", default=20, show_default=True, help="How many times each way is gone.")
def main(rounds: int) -> None:
    """Measure what the gateway adds to a real Grafana."""
    reason = missing_reason()
    if reason is not None:
        raise click.ClickException(reason)

    async def run(target: Target, postgres_url: str) -> Report:
        async with open_site(postgres_url, target) as site:
            return await measure(target, site, rounds)

    with real_grafana() as target, throwaway_postgres() as postgres:
        report = asyncio.run(run(target, postgres.url))
    Console(stderr=True).print(
        f"The gateway adds {report.added_p50_ms} ms at p50 (aim {MOST_ADDED_MS}) and keeps {report.share} of the "
        f"throughput of a dashboard's load (aim {LEAST_SHARE}), which is {report.requests_per_load} requests."
    )
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.exit(0 if report.added_p50_ms <= MOST_ADDED_MS and report.share >= LEAST_SHARE else 1)


if __name__ == "__main__":
    main()
