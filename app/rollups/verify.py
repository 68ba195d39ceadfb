"""Compare a client's rollups with a full recount.

Called by `grove rollup verify` and by tests. Reads everything there is, in one snapshot, beside whatever else runs.
"""

import msgspec

from app.rollups.statements import statement
from tenants.databases import Databases
from tenants.placement import Purpose, TenantContext

MOST_DIFFERENCES = 100
TIMEOUT_S = 3_600.0


class Difference(msgspec.Struct, frozen=True):
    """A figure that is not what a recount finds; None where there is no such figure."""

    kind: str
    what: str
    stored: str | None
    recounted: str | None


async def find_differences(databases: Databases, client: TenantContext) -> list[Difference]:
    """List what is wrong with a client's rollups, MOST_DIFFERENCES at most.

    Shape: kinds are events and details (counts), people (sets; named by what they are of, the figures are digests),
    purchases, visits, blocks (sets of several days), steps (who did what when) and numbers that two people have. What
    is still pending is no difference.
    """
    async with databases.unit(
        client.placement, Purpose.READ, snapshot=True, statement_timeout_ms=int(TIMEOUT_S * 1000)
    ) as db:
        zone = await db.fetchval(client.placement.render("SELECT {{fn}}rollup_zone()"))
        sql = statement(client.placement, "verify")
        rows = await db.fetch(sql, zone, MOST_DIFFERENCES, timeout_s=TIMEOUT_S)
    return [Difference(row["kind"], row["what"], row["stored"], row["recounted"]) for row in rows]
