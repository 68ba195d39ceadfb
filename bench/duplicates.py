"""`python -m bench.duplicates`: what recognising duplicates costs, by several ways, and in the product as it is.

First the ways alone: on a durable Postgres, beside `--present` ids that are spread over 30 days, flushes of new random
ids are claimed in a transaction each. Told per id: microseconds until the commit beyond those of an empty transaction,
CPU of the backend, WAL after a checkpoint, bytes on disk. Then the product: a real server whose client knows as many
ids takes batches of 100 events with random ids, with ids in the order of time, and without, which need no check; the
difference in CPU, of the web process and of Postgres together, is the check's share of ingest (aim: at most a fifth).
Source: read by infra/decisions/0008-duplicates.md.
"""

# ruff: noqa: S608 - every value that is put into a statement is a number or a name of this file

import asyncio
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import asyncpg
import click
import msgspec
from rich.console import Console
from rich.table import Table

from app.embedded.postgres import EmbeddedPostgres
from app.workers.event_ids import BATCH, PURGE
from bench.cpu import cpu_seconds
from bench.duplicates_product import Share, measure_share

Ids = list[uuid.UUID]
Claim = Callable[[asyncpg.Connection, Ids], Awaitable[None]]
DIGEST, FLUSH, DAYS, WEEKS = 7, 11, 30, 5
TODAY = date(2026, 11, 30)
FORGOTTEN = "btree on uuid, COPY"
console = Console()
COLUMNS = "id uuid NOT NULL, digest bigint NOT NULL, flush bigint NOT NULL, received_day date NOT NULL"
FILL = (
    "SELECT gen_random_uuid(), 7, 11, date '2026-11-01' + (n * {days} / {present})::int FROM generate_series(1, {n}) n"
)


class Way(msgspec.Struct, frozen=True):
    """A way to recognise repeats. `setup` makes what is there before; `tables` are weighed by their prefix."""

    name: str
    setup: str
    claim: Claim


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a way costs per id."""

    way: str
    flush: int
    us: float
    cpu_us: float
    wal_bytes: float
    disk_bytes: float


def _insert(tail: str, source: str = "unnest($1::uuid[]) AS given (id)") -> Claim:
    sql = f"INSERT INTO ids.now SELECT given.id, {DIGEST}, {FLUSH}, date '2026-11-30' FROM {source} {tail}"

    async def claim(connection: asyncpg.Connection, ids: Ids) -> None:
        await connection.execute(sql, ids)

    return claim


async def _copy(connection: asyncpg.Connection, ids: Ids) -> None:
    """Copy first: a repeat would break the transaction, and have it done again in another way."""
    rows = [(each, DIGEST, FLUSH, TODAY) for each in ids]
    await connection.copy_records_to_table("now", schema_name="ids", records=rows)


async def _hashed(connection: asyncpg.Connection, ids: Ids) -> None:
    hashes = [int.from_bytes(each.bytes[:8], "big", signed=True) for each in ids]
    known = await connection.fetch(_HASHED, ids, hashes)
    if known:  # of random ids this is a matter of ages; a product would have to compare the ids
        message = f"{len(known)} of the hashes were there before"
        raise ValueError(message)


async def _copy_hashed(connection: asyncpg.Connection, ids: Ids) -> None:
    rows = [(int.from_bytes(each.bytes[:8], "big", signed=True), each, DIGEST, FLUSH, TODAY) for each in ids]
    await connection.copy_records_to_table("now", schema_name="ids", records=rows)


async def _copy_unseen(connection: asyncpg.Connection, ids: Ids) -> None:
    """Look into the closed generation, then copy into the open one."""
    await connection.fetch("SELECT id FROM ids.past WHERE id = ANY ($1::uuid[])", ids)
    await _copy(connection, ids)


async def _unique_events(connection: asyncpg.Connection, ids: Ids) -> None:
    await connection.copy_records_to_table("now", schema_name="ids", columns=["id"], records=[(each,) for each in ids])


_HASHED = f"""
WITH claimed AS (
    INSERT INTO ids.now SELECT given.hash, given.id, {DIGEST}, {FLUSH}, date '2026-11-30'
    FROM unnest($1::uuid[], $2::bigint[]) AS given (id, hash)
    ON CONFLICT (hash) DO NOTHING RETURNING id
)
SELECT given.id FROM unnest($1::uuid[]) AS given (id) WHERE given.id NOT IN (SELECT id FROM claimed)
"""
_TREE = f"CREATE TABLE ids.now ({COLUMNS}); INSERT INTO ids.now {FILL}; ALTER TABLE ids.now ADD PRIMARY KEY (id)"
_HASH_INDEX = (
    f"CREATE TABLE ids.now ({COLUMNS}); INSERT INTO ids.now {FILL}; "
    "ALTER TABLE ids.now ADD EXCLUDE USING hash (id WITH =)"
)
_HASHED_TREE = (
    f"CREATE TABLE ids.now (hash bigint NOT NULL, {COLUMNS}); "
    f"INSERT INTO ids.now SELECT ('x' || left(replace(f.id::text, '-', ''), 16))::bit(64)::bigint, f.* "
    f"FROM ({FILL}) AS f (id, digest, flush, received_day); ALTER TABLE ids.now ADD PRIMARY KEY (hash)"
)
_WEEKS = (
    f"CREATE TABLE ids.now ({COLUMNS}, PRIMARY KEY (id)); "
    + "; ".join(
        f"CREATE TABLE ids.week_{week} ({COLUMNS}); INSERT INTO ids.week_{week} {FILL.replace('{n}', '{week}')}; "
        f"ALTER TABLE ids.week_{week} ADD PRIMARY KEY (id)"
        for week in range(WEEKS)
    )
    + f"; INSERT INTO ids.now {FILL.replace('{n}', '{week}')} ; CREATE VIEW ids.past AS "
    + " UNION ALL ".join(f"SELECT id FROM ids.week_{week}" for week in range(WEEKS))
)
_UNSEEN = "WHERE NOT EXISTS (SELECT FROM ids.past WHERE past.id = given.id)"
_UNSEEN_NOW = "WHERE NOT EXISTS (SELECT FROM ids.now WHERE now.id = given.id)"
# Each generation lasts as long as the window, so that on average half of one is open and one is closed.
_GENERATIONS = (
    f"CREATE TABLE ids.now ({COLUMNS}); INSERT INTO ids.now {FILL.replace('{n}', '{half}')}; "
    f"ALTER TABLE ids.now ADD PRIMARY KEY (id); CREATE TABLE ids.past ({COLUMNS}); INSERT INTO ids.past {FILL}; "
    "ALTER TABLE ids.past ADD PRIMARY KEY (id)"
)
_UNIQUE = (
    "CREATE TABLE ids.now (id uuid NOT NULL, name text DEFAULT 'page_view', at timestamptz DEFAULT '2026-11-30'); "
    "INSERT INTO ids.now SELECT gen_random_uuid() FROM generate_series(1, {n}); CREATE UNIQUE INDEX ON ids.now (id)"
)
WAYS = (
    Way("btree on uuid, ON CONFLICT", _TREE, _insert("ON CONFLICT (id) DO NOTHING")),
    Way("btree on uuid, NOT EXISTS", _TREE, _insert(_UNSEEN_NOW)),
    Way("btree on uuid, COPY", _TREE, _copy),
    Way("hash index, exclusion", _HASH_INDEX, _insert("ON CONFLICT DO NOTHING")),
    Way("hash index, COPY", _HASH_INDEX, _copy),
    Way("btree on 64 bits, id beside", _HASHED_TREE, _hashed),
    Way("btree on 64 bits, COPY", _HASHED_TREE, _copy_hashed),
    Way("two generations, lookup and COPY", _GENERATIONS, _copy_unseen),
    Way("weeks, ON CONFLICT", _WEEKS, _insert(f"{_UNSEEN} ON CONFLICT (id) DO NOTHING")),
    Way("weeks, NOT EXISTS", _WEEKS, _insert(f"{_UNSEEN} AND {_UNSEEN_NOW.removeprefix('WHERE ')}")),
    Way("unique index on the events", _UNIQUE, _unique_events),
)


async def measure_way(engine: EmbeddedPostgres, way: Way, *, present: int, ids: int) -> list[Cost]:
    """Set a way up and measure it with small flushes and large ones."""
    connection = await asyncpg.connect(engine.url)
    try:
        await connection.execute("DROP SCHEMA IF EXISTS ids CASCADE; CREATE SCHEMA ids")
        setup = way.setup.format(n=present, half=present // 2, week=present // (WEEKS + 1), days=DAYS, present=present)
        await connection.execute(setup, timeout=600)
        await connection.execute("VACUUM (ANALYZE)", timeout=600)
        disk = await connection.fetchval(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relnamespace = 'ids'::regnamespace AND relkind = 'r'"
        )
        costs = [await _measure(connection, way, flush, ids, float(disk) / present) for flush in (100, 1_000)]
        if way.name == FORGOTTEN:
            console.print(await _forget(connection))
        return costs
    finally:
        await connection.close()


async def _measure(connection: asyncpg.Connection, way: Way, flush: int, count: int, disk: float) -> Cost:
    ids = sorted(uuid.uuid4() for _ in range(flush))
    flushes = [sorted(uuid.uuid4() for _ in range(flush)) for _ in range(count // flush)]
    for _ in range(3):  # so that statements are prepared
        async with connection.transaction():
            await way.claim(connection, ids)
            ids = sorted(uuid.uuid4() for _ in range(flush))
    await connection.execute("CHECKPOINT", timeout=60)
    backend = connection.get_server_pid()
    empty_s, empty_cpu, _ = await _run(connection, backend, [[] for _ in flushes], _nothing)
    seconds, cpu, wal = await _run(connection, backend, flushes, way.claim)
    scale = 1e6 / count
    return Cost(
        way=way.name, flush=flush, us=(seconds - empty_s) * scale, cpu_us=(cpu - empty_cpu) * scale,
        wal_bytes=wal / count, disk_bytes=disk,
    )  # fmt: skip


async def _forget(connection: asyncpg.Connection) -> str:
    """Delete the oldest six days as the product does, and vacuum; tell what that costs per id."""
    backend, deleted, batch = connection.get_server_pid(), 0, BATCH
    started, cpu = time.perf_counter(), cpu_seconds(backend)
    purge = PURGE.replace("{{schema}}", "ids").replace("event_ids", "now")
    while batch == BATCH:
        batch = int((await connection.execute(purge, date(2026, 11, 7), BATCH)).rpartition(" ")[2])
        deleted += batch
    gone_s, gone_cpu = time.perf_counter() - started, cpu_seconds(backend) - cpu
    await connection.execute("VACUUM (PARALLEL 0) ids.now", timeout=600)
    seconds, used = time.perf_counter() - started, cpu_seconds(backend) - cpu
    scale = 1e6 / deleted
    return (
        f"Forgetting {deleted:,} ids: {gone_s * scale:.1f} µs an id to delete ({gone_cpu * scale:.1f} CPU), "
        f"{(seconds - gone_s) * scale:.1f} to vacuum ({(used - gone_cpu) * scale:.1f} CPU)."
    )


async def _nothing(connection: asyncpg.Connection, _: Ids) -> None:
    await connection.execute("SELECT 1")


async def _run(
    connection: asyncpg.Connection, backend: int, flushes: list[Ids], claim: Claim
) -> tuple[float, float, int]:
    wal = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
    started, cpu = time.perf_counter(), cpu_seconds(backend)
    for ids in flushes:
        async with connection.transaction():
            await claim(connection, ids)
    seconds, used = time.perf_counter() - started, cpu_seconds(backend) - cpu
    return seconds, used, int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - $1::pg_lsn", wal))


@contextmanager
def _durable_postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    engine = EmbeddedPostgres(folder / "postgres", "duplicates", durable=True)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def show(costs: list[Cost], share: Share | None) -> None:
    """Print what was found."""
    table = Table("way", "ids a flush", "µs", "CPU µs", "WAL bytes", "disk bytes", title="Per id")
    for cost in costs:
        figures = (f"{figure:,.1f}" for figure in (cost.us, cost.cpu_us, cost.wal_bytes, cost.disk_bytes))
        table.add_row(cost.way, str(cost.flush), *figures)
    console.print(table)
    if share is not None:
        of_each = ", ".join(f"{ids} ids {cpu_us:.1f}" for ids, cpu_us in share.cpu_us.items())
        print(f"In the product, µs of CPU per event of a batch of 100: {of_each}. The check is {share.random:.0%} of "
              f"ingest with random ids, {share.ordered:.0%} with ids in the order of time.")  # fmt: skip


@click.command()
@click.option("--present", default=5_000_000, show_default=True, help="How many ids are known before.")
@click.option("--ids", default=100_000, show_default=True, help="How many are claimed per measurement.")
@click.option("--only", default="", help="Ways whose names contain this.")
@click.option("--product/--no-product", default=True, help="Whether to measure the server as well.")
def main(present: int, ids: int, only: str, *, product: bool) -> None:
    """Measure what recognising duplicates costs."""
    folder = Path(tempfile.mkdtemp(prefix="grove-bench-"))
    costs: list[Cost] = []
    try:
        with _durable_postgres(folder) as engine:
            for way in WAYS:
                if only in way.name:
                    costs += asyncio.run(measure_way(engine, way, present=present, ids=ids))
                    show(costs[-2:], None)
        shutil.rmtree(folder / "postgres")
        share = measure_share(folder / "data", present=present) if product else None
    finally:
        shutil.rmtree(folder)
    show(costs, share)
    print(msgspec.json.encode({"ways": costs, "share": share}).decode())


if __name__ == "__main__":
    main()
