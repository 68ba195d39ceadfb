"""One client per placement, with a way to fill its chatbot tables: what the tests of questions ask against.

Used through the fixtures in the test modules.
"""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg

from tenants.ids import quote
from tenants.placement import Placement, PlacementKind, SourceMap, TenantContext
from tenants.registry import with_database
from tests.support.placements import context_of, external_placement, own_placement, remove_placement
from tests.support.recount import STEPS, ChatSession, Lead, read_wall_time, wall_time

LEGACY_ZONE = ZoneInfo("America/New_York")
LEGACY_SOURCE = SourceMap(
    schema="chat data",
    timezone=LEGACY_ZONE.key,
    tables={"UserEvents": "visits"},
    columns={"UserEvents": {"sessionId": "visit:id", "pageLoaded": "page_loaded_at"}},
)
LEGACY_TABLES = """
CREATE TABLE visits (
    "visit:id" bigint PRIMARY KEY, page_loaded_at timestamp, "widgetOpened" timestamp, "requestedHuman" timestamp,
    "pressedAccept" timestamp, "pressedCallback" timestamptz, "pressedContinue" timestamp,
    "createdAt" timestamp, "updatedAt" timestamp
);
CREATE TABLE "Leads" (id serial PRIMARY KEY, "sessionId" bigint, source varchar(80), "createdAt" timestamp)
"""


class Desk(Protocol):
    """A client and its tables."""

    client: TenantContext

    async def fill(
        self, sessions: Sequence[ChatSession], leads: Sequence[Lead]
    ) -> tuple[list[ChatSession], list[Lead]]:
        """Replace all rows, and return them as they will be read."""

    async def close(self) -> None:
        """Remove all of it."""


class OwnDesk:
    """A client in a schema or a database of Grove's."""

    def __init__(self, admin_url: str, placement: Placement, connection: asyncpg.Connection) -> None:
        self.client = context_of(placement)
        self.connection = connection
        self._admin_url = admin_url

    async def fill(
        self, sessions: Sequence[ChatSession], leads: Sequence[Lead]
    ) -> tuple[list[ChatSession], list[Lead]]:
        """Replace all rows, and return them as they will be read."""
        schema = self.client.placement.schema
        await self.connection.execute(f'TRUNCATE {quote(schema)}."UserEvents", {quote(schema)}."Leads"')
        rows: list[tuple[Any, ...]] = [(row.session_id, *row.times, row.updated_at, row.updated_at) for row in sessions]
        await self.connection.copy_records_to_table("UserEvents", schema_name=schema, records=rows)
        rows = [(uuid4(), lead.session_id, lead.source, lead.created_at) for lead in leads]
        await self.connection.copy_records_to_table(
            "Leads", schema_name=schema, columns=["id", "sessionId", "source", "createdAt"], records=rows
        )
        return list(sessions), list(leads)

    async def close(self) -> None:
        """Remove all of it."""
        await self.connection.close()
        await remove_placement(self._admin_url, self.client.placement)


class LegacyDesk:
    """A client whose database was there before: other names and types, times without a zone."""

    def __init__(self, admin_url: str, placement: Placement, connection: asyncpg.Connection) -> None:
        self.client = context_of(placement)
        self.connection = connection
        self._admin_url = admin_url

    async def fill(
        self, sessions: Sequence[ChatSession], leads: Sequence[Lead]
    ) -> tuple[list[ChatSession], list[Lead]]:
        """Replace all rows, and return them as they will be read."""
        schema = LEGACY_SOURCE.schema
        await self.connection.execute(f'TRUNCATE {quote(schema)}.visits, {quote(schema)}."Leads"')
        aware = STEPS.index("pressedCallback")
        rows: list[tuple[Any, ...]] = []
        read = []
        for session in sessions:
            walls = [None if at is None else wall_time(at, LEGACY_ZONE) for at in session.times]
            updated = wall_time(session.updated_at, LEGACY_ZONE)
            times = [None if wall is None else read_wall_time(wall, LEGACY_ZONE) for wall in walls]
            times[aware] = session.times[aware]
            rows.append((int(session.session_id), *walls[:aware], times[aware], *walls[aware + 1 :], updated, updated))
            read.append(ChatSession(session.session_id, tuple(times), read_wall_time(updated, LEGACY_ZONE)))
        await self.connection.copy_records_to_table("visits", schema_name=schema, records=rows)
        rows = [(int(lead.session_id), lead.source, wall_time(lead.created_at, LEGACY_ZONE)) for lead in leads]
        await self.connection.copy_records_to_table(
            "Leads", schema_name=schema, columns=["sessionId", "source", "createdAt"], records=rows
        )
        return read, [
            lead._replace(created_at=read_wall_time(wall_time(lead.created_at, LEGACY_ZONE), LEGACY_ZONE))
            for lead in leads
        ]

    async def close(self) -> None:
        """Remove all of it."""
        await self.connection.close()
        await remove_placement(self._admin_url, self.client.placement)


async def open_desk(admin_url: str, kind: PlacementKind) -> Desk:
    """Make a client of a kind."""
    if kind is PlacementKind.EXTERNAL:
        placement, owner_url = await external_placement(admin_url, LEGACY_TABLES, LEGACY_SOURCE)
        return LegacyDesk(admin_url, placement, await asyncpg.connect(owner_url))
    placement = await own_placement(admin_url, kind=kind)
    connection = await asyncpg.connect(with_database(admin_url, placement.database))
    return OwnDesk(admin_url, placement, connection)
