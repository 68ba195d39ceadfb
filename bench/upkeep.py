"""`python -m bench.upkeep`: which part of the cost of ingest the rollups are, while a server takes events.

A server as `grove serve` runs it takes batches of 100, then single posts; its worker rolls them up as they are due.
Counted is the CPU of the web process and Postgres as a whole, and apart from the rest that of the worker's process and
of the Postgres processes that serve it: all that the worker does counts as upkeep (aim: at most a fifth of the whole).
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

import asyncpg
import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench.cpu import cpu_seconds, find_child, ports_of
from bench.load import Job
from bench.stand import Stand, open_stand, own_pid
from tenants.clock import utc_now
from tenants.ids import quote

CONNECTIONS = 16
# What is left over is too little to be due for minutes.
LEFT = 10_000
PATIENCE_S = 300.0


class Upkeep(msgspec.Struct, frozen=True, kw_only=True):
    """Units: microseconds of CPU per event, of the web process and Postgres together; the share is of their sum."""

    ingest_us: float
    upkeep_us: float
    share: float


@click.command()
@click.option("--events", default=300_000, show_default=True, help="How many to send in batches; a tenth singly.")
def main(events: int) -> None:
    """Measure what part of the cost of ingest the rollups are."""
    folder = Path(tempfile.mkdtemp(prefix="grove-bench-"))
    try:
        with open_stand(folder / "data") as stand:
            found = asyncio.run(measure_all(stand, events))
    finally:
        shutil.rmtree(folder)
    table = Table("us of CPU per event", "ingest", "rollups", "their share")
    for name, upkeep in found.items():
        table.add_row(name, f"{upkeep.ingest_us:.1f}", f"{upkeep.upkeep_us:.1f}", f"{upkeep.share:.0%}")
    Console().print(table)
    print(msgspec.json.encode(found).decode())


async def measure_all(stand: Stand, events: int) -> dict[str, Upkeep]:
    """Send events in batches, then singly."""
    schema = (await stand.schemas())["taker"]
    connection = await asyncpg.connect(stand.url)
    try:
        await _measure(stand, connection, schema, 200, 100)  # to warm up
        return {
            "batches of 100": await _measure(stand, connection, schema, events // 100, 100),
            "single posts": await _measure(stand, connection, schema, events // 10, 1),
        }
    finally:
        await connection.close()


async def _measure(stand: Stand, connection: asyncpg.Connection, schema: str, requests: int, size: int) -> Upkeep:
    job = Job(
        port=stand.port, path="/api/v1/events", key=stand.key, seed=requests + size, requests=requests,
        events_per_request=size, connections=CONNECTIONS, now=utc_now(),
    )  # fmt: skip
    await asyncio.to_thread(stand.load.prepare, job)
    pending, spent, whole = await _pending(connection, schema), await _worker_cpu(connection), sum(stand.cpu())
    await asyncio.to_thread(stand.load.go)
    left = await _await_rollups(connection, schema)
    process, backends = (after - before for after, before in zip(await _worker_cpu(connection), spent, strict=True))
    ingest_us = (sum(stand.cpu()) - whole - backends) * 1e6 / (requests * size)
    upkeep_us = (process + backends) * 1e6 / (pending + requests * size - left)
    return Upkeep(ingest_us=ingest_us, upkeep_us=upkeep_us, share=upkeep_us / (ingest_us + upkeep_us))


async def _await_rollups(connection: asyncpg.Connection, schema: str) -> int:
    """Wait until nothing is due any more; return how many events are pending still."""
    async with asyncio.timeout(PATIENCE_S):
        while (left := await _pending(connection, schema)) >= LEFT:  # noqa: ASYNC110 - it is a process of its own
            await asyncio.sleep(1)
    return left


async def _worker_cpu(connection: asyncpg.Connection) -> tuple[float, float]:
    """Return the CPU seconds of the worker, and of the Postgres processes that serve it."""
    worker = find_child(own_pid(), "worker")
    rows = await connection.fetch(
        "SELECT pid FROM pg_stat_activity WHERE client_port = ANY ($1::integer[])", list(ports_of(worker))
    )
    return cpu_seconds(worker), sum(cpu_seconds(row["pid"]) for row in rows)


async def _pending(connection: asyncpg.Connection, schema: str) -> int:
    sql = f"SELECT coalesce(sum(events), 0)::bigint FROM {quote(schema)}.rollup_pending"  # noqa: S608 - a name of our own
    return int(await connection.fetchval(sql))


if __name__ == "__main__":
    main()
