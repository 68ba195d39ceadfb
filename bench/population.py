"""Thousands of clients on one server in minutes: their places as onboarding makes them, at the first revision.

Used by `bench.many`. Left out is what has no bearing on ingest, questions and migrations: the checks of the saga, the
walls around logins, and the login of dashboards.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec

import migrations.tenant
from migrations.partitions import AHEAD, missing_partitions
from migrations.tenant_plane import schema_names
from provisioning.keys import NewKey, new_key_row
from provisioning.roles import ensure_membership, ensure_owner, ensure_role
from tenants.control import SERVING_LOGIN, ControlPlane
from tenants.ids import TenantId, opaque_name, quote
from tenants.keys import KeyKind
from tenants.models import Client, PlacementRow
from tenants.placement import Placement, PlacementKind

FIRST_REVISION = "0001"
RETENTION_DAYS = 730
_FIRST_SQL = Path(migrations.tenant.__file__).parent / "versions" / "0001_initial.sql"


class Inhabitant(msgspec.Struct, frozen=True):
    """A client and its server key."""

    placement: Placement
    key: str


async def populate(
    control: ControlPlane, url: str, count: int, *, now: datetime, side_by_side: int = 2, on_done: Callable[[], None]
) -> list[Inhabitant]:
    """Make clients."""
    places = [_place(f"many-{number}", url) for number in range(count)]
    queue = iter(places)

    async def work() -> None:
        connection = await asyncpg.connect(url, statement_cache_size=0)
        try:
            for placement in queue:
                await _make(connection, placement, now)
                on_done()
        finally:
            await connection.close()

    await asyncio.gather(*(work() for _ in range(side_by_side)))
    return await _register(control, places, now)


def _place(client_id: str, url: str) -> Placement:
    name = opaque_name()
    return Placement(
        tenant_id=TenantId(client_id), kind=PlacementKind.SCHEMA, server="main",
        database=urlsplit(url).path.removeprefix("/"), serve_url=url, schema=name, owner_role=f"{name}_o",
        writer_role=f"{name}_w", reader_role=f"{name}_r", login_role=f"{name}_l",
    )  # fmt: skip


async def _make(connection: asyncpg.Connection, placement: Placement, now: datetime) -> None:
    schema = quote(placement.schema)
    partitions = missing_partitions([], "year", now - timedelta(days=RETENTION_DAYS), now + AHEAD)
    async with connection.transaction():
        await ensure_owner(connection, placement.owner_role, shared=True)
        for role in (placement.writer_role, placement.reader_role, placement.login_role):
            await ensure_role(connection, role)
        await ensure_membership(connection, [placement.writer_role, placement.reader_role], SERVING_LOGIN)
        await connection.execute("; ".join([
            f"CREATE SCHEMA {schema} AUTHORIZATION {quote(placement.owner_role)}",
            f"SET LOCAL ROLE {quote(placement.owner_role)}",
            schema_names(placement).render(_FIRST_SQL.read_text(encoding="utf-8")).rstrip().rstrip(";"),
            f"CREATE TABLE {schema}.alembic_version (version_num varchar(32) PRIMARY KEY)",
            f"INSERT INTO {schema}.alembic_version VALUES ('{FIRST_REVISION}')",  # noqa: S608 - names of our own
            *(f"CREATE TABLE {schema}.{quote(each.name)} PARTITION OF {schema}.events "
              f"FOR VALUES FROM ('{each.start.isoformat()}') TO ('{each.end.isoformat()}')" for each in partitions),
        ]))  # fmt: skip


async def _register(control: ControlPlane, places: list[Placement], now: datetime) -> list[Inhabitant]:
    made = []
    async with control.session() as session:
        for place in places:
            session.add(Client(
                id=place.tenant_id, name=place.tenant_id, status="active", timezone="Europe/Paris",
                retention_days=RETENTION_DAYS,
            ))  # fmt: skip
        await session.flush()
        for place in places:
            row, key = new_key_row(NewKey(kind=KeyKind.SERVER, client_id=place.tenant_id), now=now)
            session.add(row)
            session.add(PlacementRow(
                client_id=place.tenant_id, kind=place.kind.value, server=place.server, database=place.database,
                schema=place.schema, owner_role=place.owner_role, writer_role=place.writer_role,
                reader_role=place.reader_role, login_role=place.login_role, revision=FIRST_REVISION,
            ))  # fmt: skip
            made.append(Inhabitant(place, key))
    return made
