"""A migration of all clients is killed at one of them, and run again by two at once: none is left half migrated."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.settings import to_environ
from migrations import tenant_plane
from tenants.clock import utc_now
from tenants.ids import quote
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in
from tests.support.party import Party, event
from tests.support.rollups import counted
from tests.support.waiting import until

NAMES = ("ash", "birch", "cedar")
OLDER = "0001"
LATELY = (utc_now() - timedelta(days=1), utc_now() + timedelta(days=1))
SHAPE = """
SELECT concat_ws(' ', c.relname, c.relkind, c.relacl::text, a.attname, a.atttypid::regtype, a.attnotnull) AS what
FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = to_regnamespace($1) AND NOT c.relispartition
UNION ALL SELECT concat_ws(' ', p.proname, oidvectortypes(p.proargtypes), p.proacl::text)
FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace($1)
ORDER BY 1
"""
COLUMNS = {
    "event_ids": ("id", "digest", "flush", "received_day"),
    "events": ("event_id", "name", "occurred_at", "received_at", "properties", "key_id"),
    "quarantine": ("id", "flush", "received_at", "key_id", "code", "pointer", "detail", "body"),
    "outcome_counts": ("flush", "hour", "key_id", "outcome", "n"),
}


@pytest.fixture
def older_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A release that knows the first migration of clients only; undoing the patch is the upgrade."""
    folder = tmp_path / "tenant"
    (folder / "versions").mkdir(parents=True)
    for path in Path(tenant_plane.__file__).parent.glob(f"tenant/versions/{OLDER}_*.*"):
        shutil.copy(path, folder / "versions")
    with monkeypatch.context() as patch:
        patch.setattr(tenant_plane, "_FOLDER", folder)
        tenant_plane._scripts.cache_clear()  # noqa: SLF001 - the release is read once
        yield patch
    tenant_plane._scripts.cache_clear()  # noqa: SLF001 - as above


class Schemas:
    """Where the clients are, and what is in there."""

    def __init__(self, grove: Grove, connection: asyncpg.Connection, names: dict[str, str], last: MadeClient) -> None:
        self.grove = grove
        self.last = last
        self.connection = connection
        self.names = names

    async def shape(self, client_id: str) -> list[str]:
        """Describe a client's tables, columns, functions and rights."""
        roles = await self.grove.placement_of(client_id)
        rows = await self.connection.fetch(SHAPE, quote(self.names[client_id]))
        named = {roles.writer_role: "writer", roles.reader_role: "reader", roles.login_role: "login"}
        named |= {roles.owner_role: "owner", roles.schema: "schema"}
        text = "\n".join(row["what"] for row in rows)
        for name, meaning in named.items():
            text = text.replace(name, meaning)
        return text.splitlines()

    async def revisions(self) -> dict[str, str]:
        """Read what each client's schema says of itself."""
        sql = "SELECT version_num FROM {schema}.alembic_version"
        return {
            client_id: (await fetch_in(self.grove.settings.main_url, schema, sql))[0]["version_num"]
            for client_id, schema in self.names.items()
        }

    async def write_as_before(self, client_id: str) -> None:
        """Write a flush as the older release does: under the writer's role, with the columns that it knows."""
        place, now, key_id, event_id = await self.grove.placement_of(client_id), utc_now(), uuid4(), uuid4()
        flush = int(now.timestamp() * 1_000_000)
        rows: dict[str, tuple[Any, ...]] = {
            "event_ids": (event_id, 1, flush, now.date()),
            "events": (event_id, "page_view", now, now, "{}", key_id),
            "quarantine": (uuid4(), flush, now, key_id, "wrong_type", "/name", "No.", b"{}"),
            "outcome_counts": (flush, now, key_id, "stored", 1),
        }
        async with self.connection.transaction():
            await self.connection.execute(f"SET LOCAL ROLE {quote(place.writer_role)}")
            for table, row in rows.items():
                await self.connection.copy_records_to_table(
                    table, schema_name=place.schema, columns=COLUMNS[table], records=[row]
                )


@pytest.fixture
async def schemas(postgres: EmbeddedPostgres, older_release: pytest.MonkeyPatch) -> AsyncIterator[Schemas]:
    """Clients that the older release made and wrote to, under the newer one's program."""
    async with open_grove(postgres.url) as grove:
        async with grove.worker():
            clients = [await grove.make_client(name) for name in NAMES]
        older_release.undo()
        tenant_plane._scripts.cache_clear()  # noqa: SLF001 - as above
        connection = await asyncpg.connect(grove.settings.main_url)
        names = {name: (await grove.placement_of(name)).schema for name in NAMES}
        schemas = Schemas(grove, connection, names, clients[-1])
        for name in NAMES:
            await schemas.write_as_before(name)
        yield schemas
        await connection.close()


async def start_migrating(grove: Grove) -> asyncio.subprocess.Process:
    """Run `grove migrate`."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("GROVE_")}  # noqa: TID251 - handed on
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "migrate", env=environ | to_environ(grove.settings),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.fault(25)
async def test_a_migration_killed_at_one_client_of_several_is_resumed_by_two_at_once(schemas: Schemas) -> None:
    before = {name: await schemas.shape(name) for name in NAMES}
    await kill_at(schemas, NAMES[-1])

    between = await schemas.revisions()
    assert (between[NAMES[-1]], set(between.values())) == (OLDER, {OLDER, tenant_plane.head_revision()})
    for name, revision in between.items():
        assert (await schemas.shape(name) == before[name]) == (revision == OLDER)
        await schemas.write_as_before(name)

    migrators = [await start_migrating(schemas.grove) for _ in range(2)]
    assert [await migrator.wait() for migrator in migrators] == [0, 0]
    assert set((await schemas.revisions()).values()) == {tenant_plane.head_revision()}
    known = await schemas.connection.fetch("SELECT DISTINCT revision FROM grove.placements")
    assert [row["revision"] for row in known] == [tenant_plane.head_revision()]
    shapes = [await schemas.shape(name) for name in NAMES]
    assert shapes[1:] == shapes[:-1]
    for name in NAMES:
        await schemas.write_as_before(name)
    new_code = Party(schemas.grove, schemas.last)
    assert (await new_code.send(event(), event())).answer["accepted"] == 2
    for name in NAMES:
        async with counted(schemas.grove, name) as store:
            (row,) = await store.fetch("SELECT sum(n) AS n FROM {{fn}}event_counts($1, $2)", *LATELY)
            assert row["n"] == 3 + 2 * (name == NAMES[-1])
            await store.catch_up(utc_now())
            assert await store.differences() == []


async def kill_at(schemas: Schemas, client_id: str) -> None:
    """Kill a migration when it has migrated some and is in the middle of this client."""
    holder = await asyncpg.connect(schemas.grove.settings.main_url)
    await holder.execute(f"BEGIN; LOCK TABLE {quote(schemas.names[client_id])}.sessions")
    migrator = await start_migrating(schemas.grove)

    async def stands() -> bool:
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'"
        blocked = await schemas.connection.fetchrow(waiting, schemas.names[client_id])
        done = [name for name, revision in (await schemas.revisions()).items() if revision != OLDER]
        return blocked is not None and len(done) > 0

    await until(stands, within_s=20)
    migrator.kill()
    await migrator.wait()
    holder.terminate()
