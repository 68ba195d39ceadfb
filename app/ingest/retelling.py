"""Tell a client's commerce facts anew: of events that were stored before there were facts, or by an older release.

Called by `grove rollup rebuild`. A day at a time, each in a transaction that sees events and facts of one moment, so
that what is stored meanwhile is neither missed nor told twice; and of a day, no more than MOST_FACTS are held at once.
"""

from datetime import datetime, timedelta

from app.ingest.commerce import FACT_TYPES, KINDS, Rows, Telling, list_facts
from app.ingest.statements import statement
from app.ingest.steps import FUTURE_ALLOWED
from tenants.databases import Databases, TenantConnection
from tenants.placement import Placement, Purpose

TIMEOUT_S = 600.0
MOST_FACTS = 10_000
_PIECE = timedelta(days=1)
_OLDEST = "SELECT min(occurred_at) FROM {{schema}}.events"


async def retell(databases: Databases, placement: Placement, *, now: datetime) -> int:
    """Replace all facts by those that the stored events tell; return how many there are."""
    async with databases.unit(placement, Purpose.READ, statement_timeout_ms=int(TIMEOUT_S * 1000)) as db:
        start: datetime | None = await db.fetchval(placement.render(_OLDEST))
    told = 0
    while start is not None and start <= now + FUTURE_ALLOWED:
        told += await _retell(databases, placement, start, start + _PIECE)
        start += _PIECE
    return told


async def _retell(databases: Databases, placement: Placement, since: datetime, until: datetime) -> int:
    told, facts = 0, Rows()
    async with databases.unit(placement, Purpose.WRITE, statement_timeout_ms=int(TIMEOUT_S * 1000)) as db:
        async for row in db.cursor(
            statement(placement, "retell_facts"), list(KINDS), since, until, timeout_s=TIMEOUT_S
        ):
            facts += list_facts(Telling(*row))
            if len(facts) >= MOST_FACTS:
                told += await _append(db, facts)
        return told + await _append(db, facts)


async def _append(db: TenantConnection, facts: Rows) -> int:
    """Store facts, and empty their list; return how many there were."""
    count = len(facts)
    if facts:
        await db.copy("commerce_facts", FACT_TYPES, facts)
        facts.clear()
    return count
