"""`python -m bench.dashboards`: questions over millions of events, from Grove's rollups and from a column store.

Fills a client's tables with made-up events of 90 days, rolls them up as workers do, then asks each question and every
panel of the event dashboards warm, again and again, under the roles that ask in earnest. The same events go into
ClickHouse's engine, which reads them raw: `.venv/bin/pip install chdb` first, else its column stays empty. Prints p50
and p95 in milliseconds (aim: 50), their ratio, what rolling up costs per event, and bytes on disk per event.
"""

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import click
import msgspec
from rich.console import Console
from rich.table import Table

from app.console.dashboards.macros import expand, read_variables
from app.query.spec import Period
from app.query.web import WebAnalyst
from app.query.zones import day_start, local_day
from app.rollups.round import MAX_EVENTS
from app.rollups.verify import find_differences
from bench.column_store import ColumnStore, find_engine
from bench.cpu import cpu_seconds
from bench.made_up import Shape, fill
from provisioning.templates import context_of, load_templates, render
from tenants.clock import utc_now
from tenants.ids import quote
from tests.support.engines import throwaway_postgres
from tests.support.grove import Grove, open_grove
from tests.support.rollups import Counted, counted

AIM_MS = 50.0
STEPS = ("product_view", "add_to_cart", "purchase")
CLIENT = "many"
ZONE = "Europe/Berlin"
_SIZES = """
SELECT CASE WHEN c.relname LIKE 'rollup\\_%' THEN 'rollups' WHEN c.relname LIKE 'events%' THEN 'events'
            ELSE 'sessions' END AS part, sum(pg_total_relation_size(c.oid))::bigint AS bytes
FROM pg_class AS c
WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'p') AND c.relname ~ '^(rollup|events|sessions)'
    AND c.relname <> 'event_ids'
GROUP BY 1
"""
Ask = Callable[[], Awaitable[Any]]


class Timing(msgspec.Struct, frozen=True):
    """How long answers took.

    Units: milliseconds.
    """

    p50: float
    p95: float


class Report(msgspec.Struct, kw_only=True):
    """What was measured; `engine` is empty where there is no column store."""

    events: int
    grove: dict[str, Timing] = {}
    engine: dict[str, Timing] = {}
    upkeep_us_per_event: dict[str, float] = {}
    bytes_per_event: dict[str, float] = {}
    differences: int | None = None


@click.command()
@click.option("--events", default=5_000_000, show_default=True, help="How many to make up.")
@click.option("--times", default=30, show_default=True, help="How often each question is asked.")
@click.option("--verify", is_flag=True, help="Compare the rollups with a recount, too, which takes minutes.")
def main(events: int, times: int, *, verify: bool) -> None:
    """Measure what dashboards take over millions of events."""
    with throwaway_postgres(durable=True) as postgres:
        report = asyncio.run(measure(postgres.url, postgres.pid, Shape(events=events), times, verify=verify))
    show(report)
    print(msgspec.json.encode(report).decode())


async def measure(url: str, postgres: int, shape: Shape, times: int, *, verify: bool) -> Report:
    """Fill a client, roll up, ask."""
    console = Console(stderr=True)
    report, now = Report(events=shape.events), utc_now()
    folder = Path(tempfile.mkdtemp(prefix="grove-bench-"))
    try:
        with console.status("Making events …") as status:
            async with open_grove(url) as grove:
                async with grove.worker():
                    await grove.make_client(CLIENT, timezone=ZONE)
                async with counted(grove, CLIENT) as store:
                    await fill(grove.settings.main_url, store.client.placement.schema, shape, now)
                    status.update("Rolling up …")
                    report.upkeep_us_per_event = await roll_up(store, postgres, shape.events, now)
                    await _settle(grove, store, report, verify=verify)
                    status.update("Asking Grove …")
                    for name, ask in {**questions(store, now), **await panels(grove, store, now)}.items():
                        report.grove[name] = await time_answers(ask, times)
                    engine = find_engine()
                    if engine is not None:
                        status.update("Asking the column store …")
                        await _ask_engine(engine(folder), grove, store, now, report, times)
    finally:
        shutil.rmtree(folder)
    return report


async def roll_up(store: Counted, postgres: int, events: int, now: datetime) -> dict[str, float]:
    """Roll up everything in full rounds, then what is done when days are over; return the CPU per event of each."""
    spent = [cpu_seconds(postgres)]
    while (await store.roll_up(MAX_EVENTS)).more:
        pass
    spent.append(cpu_seconds(postgres))
    await store.catch_up(now)
    spent.append(cpu_seconds(postgres))
    per_event = [(after - before) * 1e6 / events for before, after in pairwise(spent)]
    return dict(zip(("rounds", "days that are over"), (round(us, 2) for us in per_event), strict=True))


async def _settle(grove: Grove, store: Counted, report: Report, *, verify: bool) -> None:
    connection = await asyncpg.connect(grove.settings.main_url)
    try:
        await connection.execute("VACUUM (ANALYZE)")
        rows = await connection.fetch(_SIZES, quote(store.client.placement.schema))
    finally:
        await connection.close()
    report.bytes_per_event = {row["part"]: round(row["bytes"] / report.events, 1) for row in rows}
    if verify:
        report.differences = len(await find_differences(store.databases, store.client))


async def _ask_engine(
    engine: ColumnStore, grove: Grove, store: Counted, now: datetime, report: Report, times: int
) -> None:
    await engine.fill(grove.settings.main_url, store.client.placement.schema)
    for name, ask in engine.questions(now, first_days(now), ZONE, STEPS).items():
        report.engine[name] = await time_answers(ask, times)


async def time_answers(ask: Ask, times: int) -> Timing:
    """Ask thrice to warm up, then time the answers."""
    for _ in range(3):
        await ask()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - started) * 1000)
    return Timing(
        p50=round(statistics.median(taken), 2), p95=round(sorted(taken)[min(times - 1, int(times * 0.95))], 2)
    )


def first_days(now: datetime) -> dict[int, datetime]:
    """Map lengths in days to when such a period begins: it ends with today, as periods of dashboards and the API do."""
    zone = ZoneInfo(ZONE)
    return {days: day_start(local_day(now, zone) - timedelta(days=days - 1), zone) for days in (30, 56, 90)}


def questions(store: Counted, now: datetime) -> Mapping[str, Ask]:
    """List the questions that the API answers."""
    web, client, since = WebAnalyst(store.databases), store.client, first_days(now)
    period = Period(from_at=since[30], to_at=now, zone=ZoneInfo(ZONE))
    from_an_hour = Period(from_at=now - timedelta(days=30), to_at=now, zone=ZoneInfo(ZONE))
    return {
        "totals of 30 days with visitors": lambda: web.totals(client, since[30], now),
        "totals of 30 days from an hour of a day": lambda: web.totals(client, now - timedelta(days=30), now),
        "daily series of 90 days with visitors": lambda: web.daily(client, since[90], now),
        "top 10 pages of 30 days with visitors": lambda: web.pages(client, since[30], now, most=10),
        "3-step ordered funnel of 30 days": lambda: web.funnel(client, since[30], now, steps=STEPS),
        "weekly retention over 8 weeks": lambda: web.retention(client, since[56], now),
        "summary of 30 days and the 30 before": lambda: web.summary(client, period, most=10),
        "summary of 30 days from an hour of a day": lambda: web.summary(client, from_an_hour, most=10),
        # The endpoint tells them with what happened minute by minute and on which pages; the column store, them alone.
        "visitors of the last 5 minutes": lambda: web.recent(client, now, most=10),
    }


async def panels(grove: Grove, store: Counted, now: datetime) -> Mapping[str, Ask]:
    """List the panels of the event dashboards as they come: 30 days, per day, as the client's Grafana."""
    connection = await asyncpg.connect(grove.settings.main_url)
    await connection.execute(
        f"SET ROLE {quote(store.client.placement.login_role)}; SET work_mem = '16MB'; SET timezone = 'UTC'"
    )
    asked: dict[str, Ask] = {}
    for template in load_templates().dashboards:
        if template.reads != "events":
            continue
        model = render(template, context_of(store.client))
        values, _ = read_variables(model, {})
        for panel in model["panels"]:
            sql = expand(panel["targets"][0]["rawSql"], first_days(now)[30], now, values)
            asked[f"{template.title}: {panel['title']}"] = lambda sql=sql: connection.fetch(sql)  # type: ignore[misc]
    return asked


def show(report: Report) -> None:
    """Print a report for people."""
    table = Table("ms", "p50", "p95", "column store p50", "p95", "p95 to p95", title=f"{report.events:,} events")
    for name, grove in report.grove.items():
        engine = report.engine.get(name)
        other = ("", "", "") if engine is None else (f"{engine.p50}", f"{engine.p95}", f"{grove.p95 / engine.p95:.2f}")
        table.add_row(name, f"{grove.p50}", f"{grove.p95}{' !' if grove.p95 > AIM_MS else ''}", *other)
    Console().print(table)
    print(f"us of CPU per event for rolling up: {report.upkeep_us_per_event}. Bytes per event: "
          f"{report.bytes_per_event}. Differences to a recount: {report.differences}.")  # fmt: skip


if __name__ == "__main__":
    main()
