"""The share of ingest's cost that recognising duplicates has in the product: a server with ids and without.

Used by `bench.duplicates`.
"""

import asyncio
from pathlib import Path
from statistics import median

import asyncpg
import msgspec

from bench.events import Ids
from bench.load import Job
from bench.stand import Stand, open_stand
from tenants.clock import utc_now
from tenants.ids import quote

BATCH, REQUESTS, ROUNDS, CONNECTIONS = 100, 120, 20, 8

_FILL = """
INSERT INTO {schema}.event_ids (id, digest, flush, received_day)
SELECT gen_random_uuid(), 7, 11, current_date - 30 + (n * 30 / $1)::int FROM generate_series(1, $1::bigint) AS n
"""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """CPU of the web process and of Postgres per event, by what ids the events have; the check's share of each."""

    cpu_us: dict[Ids, float]
    random: float
    ordered: float


def measure_share(folder: Path, *, present: int) -> Share:
    """Start a server whose client knows many ids, and send events with ids of each kind, and without, in turn."""
    with open_stand(folder) as stand:
        asyncio.run(_fill(stand, present))
        found: dict[Ids, list[float]] = {ids: [] for ids in Ids}
        for number in range(ROUNDS + 1):
            for place, ids in enumerate(Ids):
                cpu_us = _send(stand, seed=number * len(Ids) + place, ids=ids)
                if number:  # the first of each warms up
                    found[ids].append(cpu_us)
    cpu_us_of = {ids: median(figures) for ids, figures in found.items()}
    shares = {ids: 1 - cpu_us_of[Ids.NONE] / cpu_us_of[ids] for ids in Ids}
    return Share(cpu_us=cpu_us_of, random=shares[Ids.RANDOM], ordered=shares[Ids.ORDERED])


async def _fill(stand: Stand, present: int) -> None:
    schema = (await stand.schemas())["taker"]
    connection = await asyncpg.connect(stand.url)
    try:
        await connection.execute(_FILL.replace("{schema}", quote(schema)), present, timeout=600)
        await connection.execute(f"VACUUM (ANALYZE) {quote(schema)}.event_ids", timeout=600)
        await connection.execute("CHECKPOINT", timeout=600)
    finally:
        await connection.close()


def _send(stand: Stand, *, seed: int, ids: Ids) -> float:
    job = Job(
        port=stand.port, path="/api/v1/events", key=stand.key, seed=seed, requests=REQUESTS, events_per_request=BATCH,
        connections=CONNECTIONS, now=utc_now(), ids=ids,
    )  # fmt: skip
    stand.load.prepare(job)
    before = sum(stand.cpu())
    stand.load.go()
    return (sum(stand.cpu()) - before) * 1e6 / (REQUESTS * BATCH)
