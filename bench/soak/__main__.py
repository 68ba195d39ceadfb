"""`make bench WHAT=soak ARGS="--minutes 60"`: a server under steady load, and whether it stays as it was.

Starts `grove serve` with engines of its own, durable, in a throwaway folder; several clients send web and chat events,
alone and in batches, some twice and some that cannot be stored, at half of what a short flood found to be possible.
Exit status 1 if an aim is missed: memory flat, nothing left open, events visible within a second, everything that was
acknowledged there once, books that agree.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import click
import httpx
import msgspec

from bench.cpu import cpu_seconds
from bench.soak import report as reports
from bench.soak.checks import Kept, check_client, check_rollups, check_usage, count_rows, measure_bytes
from bench.soak.marks import Marks, open_panel
from bench.soak.samples import OWN_NAME, Sample, Sampler, busy_seconds
from bench.soak.server import Server, serve
from bench.soak.story import Story
from bench.soak.traffic import Sender, Traffic
from tenants.clock import utc_now

FLOOD_S = 8.0
# What is idle is closed within a minute.
REST_S = 75.0
# To read the memory of all processes takes a core half a second, which answers feel.
SAMPLES = 60
MARK_S = 3.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do; without a rate, half of what is possible."""

    minutes: float
    rate: float | None
    clients: int
    samples: Path | None


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long the load lasts.")
@click.option("--rate", type=float, help="Events per second. Default: half of what a short flood finds possible.")
@click.option("--clients", default=5, show_default=True, help="How many clients send.")
@click.option("--web-processes", default=1, show_default=True, help="How many processes serve.")
@click.option("--samples", type=click.Path(path_type=Path), help="Write every sample there, as a line of JSON.")
@click.option("--keep", is_flag=True, help="Leave the folder with data and log, and say where it is.")
def main(
    *, minutes: float, rate: float | None, clients: int, web_processes: int, samples: Path | None, keep: bool
) -> None:
    """Keep a server under steady load and see whether anything grows, leaks, lags or gets lost."""
    folder = Path(tempfile.mkdtemp(prefix="grove-soak-"))
    if samples is not None:
        samples.unlink(missing_ok=True)
    try:
        with serve(folder, web_processes=web_processes) as server:
            plan = Plan(minutes=minutes, rate=rate, clients=clients, samples=samples)
            report = asyncio.run(Soak(server, plan, folder / "log").run())
    finally:
        if keep:
            _say(f"data and log are in {folder}")
        else:
            shutil.rmtree(folder)
    reports.show(report)
    print(msgspec.json.encode(report).decode())
    sys.exit(0 if all(aim.met for aim in report.aims) else 1)


class Soak:
    """One run."""

    def __init__(self, server: Server, plan: Plan, log: Path) -> None:
        self._server = server
        self._plan = plan
        self._log = log
        self._http = httpx.Client(base_url=server.url, headers=server.headers, timeout=30)

    async def run(self) -> reports.Report:
        """Make clients, find out what is possible, load, rest, check."""
        server, plan = self._server, self._plan
        port = server.settings.port
        names = [f"soak-{number + 1}" for number in range(plan.clients)]
        senders = [
            Sender(name, server.make_client(name), port, Story(number, utc_now)) for number, name in enumerate(names)
        ]
        traffic = Traffic(senders)
        connection = await asyncpg.connect(server.settings.main_url, server_settings={"application_name": OWN_NAME})
        sampler = await Sampler.open(server.pid, server.settings.main_url, plan.samples)
        places = await _places(connection)
        capacity = await traffic.flood(FLOOD_S)
        await traffic.close()
        rate = plan.rate or capacity / 2
        _say(f"{capacity:.0f} events/s are possible, {rate:.0f} are sent")
        rows, before = await count_rows(connection), await self._rest(sampler, None)
        series = self._count_series()
        marks = Marks(
            [await open_panel(each, server.settings.main_url, *places[each.client_id]) for each in senders],
            senders,
            server.url,
        )
        began, own, busy = time.monotonic(), cpu_seconds(server.pid), busy_seconds()
        async with _beside(sampler.run(plan.minutes * 60 / SAMPLES), marks.run(MARK_S), self._tell(sampler, traffic)):
            await traffic.run(rate, plan.minutes * 60)
        took_s = time.monotonic() - began
        cores = (cpu_seconds(server.pid) - own) / took_s, (busy_seconds() - busy) / took_s
        await traffic.close()
        await marks.close()
        after = await self._rest(sampler, before)
        _say("checking …")
        kept = Kept()
        for sender in senders:
            await check_client(connection, places[sender.client_id][0], sender.ledger, kept)
            check_usage(self._http, sender, kept)
        await check_rollups(server.settings, names, kept)
        rows_after = await count_rows(connection)
        report = reports.Report(
            minutes=plan.minutes,
            clients=plan.clients,
            capacity=round(capacity),
            rate=round(rate),
            events=sum(sum(sender.ledger.outcomes.values()) for sender in senders),
            cores=(round(cores[0], 2), round(cores[1], 2)),
            statuses=dict(sum((sender.ledger.statuses for sender in senders), Counter())),
            ack_ms=reports.percentiles_ms(traffic.latencies_s),
            visible_ms=reports.percentiles_ms(marks.visible_s),
            answer_ms=reports.percentiles_ms(marks.answers_s),
            unseen=marks.unseen,
            unanswered=marks.unanswered,
            memory=reports.trends(sampler.samples),
            shared_limit=await _shared_limit(connection),
            files={kind: (before.held[kind].files, after.held[kind].files) for kind in _lasting(before, after)},
            connections=_pairs(_logins(before), _logins(after)),
            most_connections=max(sum(sample.connections.values()) for sample in sampler.samples),
            series=(series, self._count_series()),
            rows={name: pair for name, pair in _pairs(rows, rows_after).items() if pair[1] > pair[0]},
            log_bytes=self._log.stat().st_size,
            kept=kept,
            bytes_per_event=await measure_bytes(connection, [places[name][0] for name in names]),
        )
        report.aims = reports.judge(report)
        await sampler.close()
        await connection.close()
        return report

    async def _rest(self, sampler: Sampler, base: Sample | None) -> Sample:
        """Wait until what is idle has been closed, or has come down to a base."""
        until = time.monotonic() + REST_S
        while True:
            await asyncio.sleep(5)
            sample = await sampler.look()
            if time.monotonic() > until or (base is not None and _is_down(sample, base)):
                return sample

    async def _tell(self, sampler: Sampler, traffic: Traffic) -> None:
        while True:
            await asyncio.sleep(60)
            sample = sampler.samples[-1]
            held = ", ".join(f"{kind} {each.pss / 1024:.1f}" for kind, each in sorted(sample.held.items()))
            ack = reports.percentiles_ms(traffic.latencies_s).get("p99")
            _say(f"{sample.at_s:.0f} s, ack p99 {ack} ms, PSS in MiB: {held}")

    def _count_series(self) -> int:
        text = self._http.get("/metrics").raise_for_status().text
        return sum(not line.startswith("#") for line in text.splitlines())


@asynccontextmanager
async def _beside(*work: object) -> AsyncIterator[None]:
    """Do work until a block has ended; whatever it raised is raised."""
    tasks = [asyncio.ensure_future(each) for each in work]  # type: ignore[call-overload]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _places(connection: asyncpg.Connection) -> dict[str, tuple[str, str]]:
    rows = await connection.fetch("SELECT client_id, schema_name, login_role FROM grove.placements")
    return {row["client_id"]: (row["schema_name"], row["login_role"]) for row in rows}


async def _shared_limit(connection: asyncpg.Connection) -> int:
    size = await connection.fetchval("SELECT pg_size_bytes(current_setting('shared_memory_size'))")
    return int(size) // 1024


def _logins(sample: Sample) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, count in sample.connections.items():
        found[name.split()[0]] += count
    return found


def _pairs(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {name: (before.get(name, 0), after.get(name, 0)) for name in sorted(before.keys() | after.keys())}


def _lasting(before: Sample, after: Sample) -> set[str]:
    """Name the kinds whose processes stay; the files of Postgres are those of the backends that happen to run."""
    return {kind for kind in before.held.keys() & after.held.keys() if not kind.startswith("postgres")}


def _is_down(sample: Sample, base: Sample) -> bool:
    calm = all(sample.held[kind].files <= base.held[kind].files for kind in _lasting(sample, base))
    logins = _logins(base)
    return calm and all(count <= logins[login] for login, count in _logins(sample).items())


def _say(text: str) -> None:
    print(f"{utc_now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
