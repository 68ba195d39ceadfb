"""What is asked of the store when the load is over: each acknowledged event once, books that agree, bytes on disk.

Used by `bench.soak`.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import asyncpg
import httpx
import msgspec

from app.rollups.round import catch_up
from app.rollups.verify import find_differences
from app.settings import Settings
from app.workers.resources import open_worker_resources
from bench.soak.traffic import Ledger, Sender
from tenants.clock import utc_now
from tenants.ids import TenantId, quote

_ID_BYTES = 16
_COMPARE = """
SELECT count(*) FILTER (WHERE acked AND n IS NULL) AS missing, count(*) FILTER (WHERE n > 1) AS doubled,
    count(*) FILTER (WHERE acked IS NULL) AS foreign
FROM sent FULL JOIN (SELECT event_id, count(*) AS n FROM {schema}.events GROUP BY 1) AS kept ON kept.event_id = sent.id
"""
_SIZES = """
SELECT coalesce(p.relname, c.relname)::text AS name, sum(pg_table_size(c.oid))::bigint AS rows,
    sum(pg_indexes_size(c.oid))::bigint AS indexes
FROM pg_class AS c
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
LEFT JOIN pg_class AS p ON p.oid = i.inhparent
WHERE c.relkind = 'r' AND c.relnamespace = ANY ($1::text[]::regnamespace[])
GROUP BY 1 HAVING sum(pg_total_relation_size(c.oid)) > 0
ORDER BY sum(pg_total_relation_size(c.oid)) DESC
"""
_TABLES = """
SELECT c.oid::regclass::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema|t_)'
"""


class Kept(msgspec.Struct):
    """What became of the events of all clients; all but `acked` ought to be 0 or empty."""

    acked: int = 0
    missing: int = 0
    doubled: int = 0
    foreign: int = 0
    surprises: list[str] = []
    losses: list[str] = []
    unreconciled: list[str] = []
    rollup_differences: list[str] = []


class Bytes(msgspec.Struct, frozen=True):
    """What a table takes per stored event."""

    rows: float
    indexes: float


def ids_of(packed: bytes | bytearray) -> Iterator[uuid.UUID]:
    """Unpack ids."""
    return (uuid.UUID(bytes=bytes(packed[at : at + _ID_BYTES])) for at in range(0, len(packed), _ID_BYTES))


async def check_client(connection: asyncpg.Connection, schema: str, ledger: Ledger, kept: Kept) -> None:
    """Compare what one client was told to what is stored."""
    await connection.execute("CREATE TEMP TABLE sent (id uuid, acked boolean NOT NULL)")
    for packed, acked in ((ledger.acked, True), (ledger.unsure, False)):
        await connection.copy_records_to_table("sent", records=((each, acked) for each in ids_of(packed)))
    row = await connection.fetchrow(_COMPARE.format(schema=quote(schema)), timeout=600)
    await connection.execute("DROP TABLE sent")
    kept.acked += len(ledger.acked) // _ID_BYTES
    kept.missing += row["missing"]
    kept.doubled += row["doubled"]
    kept.foreign += row["foreign"]
    kept.surprises += ledger.surprises
    kept.losses += ledger.losses


def check_usage(http: httpx.Client, sender: Sender, kept: Kept) -> None:
    """Compare what one client was told to what it is said to have used."""
    usage = http.get(f"/api/v1/clients/{sender.client_id}/usage").raise_for_status().json()
    told = +sender.ledger.outcomes
    if Counter(usage["outcomes"]) != told and not sender.ledger.unsure:
        kept.unreconciled.append(f"{sender.client_id}: told {dict(told)}, counted {usage['outcomes']}")


async def check_rollups(settings: Settings, clients: Sequence[str], kept: Kept) -> None:
    """Roll up what still waits, and compare all to a recount."""
    async with open_worker_resources(settings) as resources:
        for client_id in clients:
            async with resources.control.session() as session:
                client = await resources.registry.load(session, TenantId(client_id))
            await catch_up(resources.databases, client, now=utc_now())
            for found in await find_differences(resources.databases, client):
                kept.rollup_differences.append(f"{client_id}: {msgspec.json.encode(found).decode()}")


async def measure_bytes(connection: asyncpg.Connection, schemas: Sequence[str]) -> Mapping[str, Bytes]:
    """Tell what each table takes per event, those of all clients together; the greatest first."""
    events = 0
    for schema in schemas:
        events += await connection.fetchval(f"SELECT count(*) FROM {quote(schema)}.events")  # noqa: S608 - quoted
    rows = await connection.fetch(_SIZES, [quote(schema) for schema in schemas])
    return {
        row["name"]: Bytes(round(row["rows"] / max(1, events), 1), round(row["indexes"] / max(1, events), 1))
        for row in rows
    }


async def count_rows(connection: asyncpg.Connection) -> dict[str, int]:
    """Count the rows of every table that is no client's."""
    return {
        row["name"]: await connection.fetchval(f"SELECT count(*) FROM {row['name']}")  # noqa: S608 - from the catalogs
        for row in await connection.fetch(_TABLES)
    }
