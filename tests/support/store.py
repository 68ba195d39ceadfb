"""A client's tables as the judge of the fault tests reads them: whole, in one snapshot, and recounted.

Shares no code with the product but the recount that `grove rollup verify` makes.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID

import app.rollups
from app.ingest.chat import CHAT_EVENTS
from app.ingest.commerce import KINDS
from tenants.ids import function_prefix, quote
from tenants.keys import hash_key
from tests.support.history import Finding, fetch_in

_VERIFY = (Path(app.rollups.__path__[0]) / "sql" / "verify.sql").read_text().replace("{{", "{").replace("}}", "}")
_RECOUNT = (Path(__file__).parent / "recount_sessions.sql").read_text()
_MOST = 20


class Bucket(NamedTuple):
    """What outcomes are counted by."""

    key_id: UUID
    hour: datetime
    outcome: str
    reason: str


class Store(msgspec.Struct):
    """A client's tables, in one snapshot."""

    keys: dict[str, UUID]
    events: list[asyncpg.Record]
    ids: dict[UUID, asyncpg.Record]
    quarantine: list[asyncpg.Record]
    counts: Counter[Bucket]
    repeats: int
    recounts: list[Finding]


async def read_store(url: str, schema: str, keys: Iterable[str], registry_url: str) -> Store:
    """Read a client's tables and the ids of keys.

    Shape: `url` is an administrator's, of the database with the client's tables; `registry_url` of that with the keys.
    """
    hashes = {hash_key(key): key for key in keys}
    known = await fetch_in(
        registry_url, "grove", "SELECT id, hash FROM {schema}.api_keys WHERE hash = ANY($1)", list(hashes)
    )
    connection = await asyncpg.connect(url)

    async def fetch(sql: str, *args: Any) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await connection.fetch(
            sql.replace("{schema}", quote(schema)).replace("{fn}", function_prefix(schema)), *args
        )
        return rows

    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            counts = await fetch("SELECT key_id, hour, outcome, reason, n FROM {schema}.outcome_counts")
            counter: Counter[Bucket] = Counter()
            for row in counts:
                counter[Bucket(row["key_id"], row["hour"], row["outcome"], row["reason"])] += row["n"]
            return Store(
                keys={hashes[row["hash"]]: row["id"] for row in known},
                events=await fetch(
                    "SELECT event_id, name, session_id, key_id, received_at, flush FROM {schema}.events"
                ),
                ids={row["id"]: row for row in await fetch("SELECT id, digest, flush FROM {schema}.event_ids")},
                quarantine=await fetch("SELECT code, body, event_id, key_id, received_at FROM {schema}.quarantine"),
                counts=counter,
                repeats=int((await fetch("SELECT coalesce(sum(n), 0) FROM {schema}.event_repeats"))[0][0]),
                recounts=await _recount(fetch),
            )
    finally:
        await connection.close()


async def _recount(fetch: Callable[..., Awaitable[list[asyncpg.Record]]]) -> list[Finding]:
    sessions = await fetch(_RECOUNT, sorted(CHAT_EVENTS))
    (zone,) = await fetch("SELECT {fn}rollup_zone()")
    pending = await fetch(
        "SELECT flush, p.events, e.n FROM {schema}.rollup_pending AS p LEFT JOIN "
        "(SELECT flush, count(*) AS n FROM {schema}.events GROUP BY flush) AS e USING (flush) "
        "WHERE p.events IS DISTINCT FROM coalesce(e.n, 0)"
    )
    facts = await fetch(
        "SELECT event_id, f.n AS facts, e.n AS events FROM "
        "(SELECT event_id, count(*) AS n FROM {schema}.commerce_facts WHERE line = 0 GROUP BY event_id) AS f FULL JOIN "
        "(SELECT event_id, count(*) AS n FROM {schema}.events WHERE name = ANY($1) GROUP BY event_id) AS e "
        "USING (event_id) WHERE f.n IS DISTINCT FROM e.n",
        list(KINDS),
    )
    return [
        *(Finding("facts", f"{row['event_id']} has {row['facts']} facts, not {row['events']}") for row in facts),
        *(Finding("sessions", f"{row['side']} {row['session_id']}") for row in sessions),
        *(
            Finding("rollups", f"flush {row['flush']} waits with {row['events']} events, not {row['n']}")
            for row in pending
        ),
        *(
            Finding("rollups", f"{row['kind']} {row['what']}: {row['stored']}, recounted {row['recounted']}")
            for row in await fetch(_VERIFY, zone[0], _MOST)
        ),
    ]
