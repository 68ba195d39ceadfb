"""The URL of a client's given database changes, and the client goes on."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from provisioning.apply import Wanted, apply_client, check_clients
from provisioning.requests import ClientChange, NewClient, NewPlacement
from tenants.databases import Databases
from tenants.errors import InputRefused
from tenants.placement import Purpose
from tests.support.grove import own_database
from tests.support.provisioner import ACTOR, Pools, Provisioner, execute, open_provisioner

TABLE = """CREATE TABLE "UserEvents" ("sessionId" text PRIMARY KEY, "pageLoaded" timestamp, "widgetOpened" timestamp,
"requestedHuman" timestamp, "pressedAccept" timestamp, "pressedCallback" timestamp, "pressedContinue" timestamp,
"createdAt" timestamp, "updatedAt" timestamp)"""


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    async with open_provisioner(postgres.url) as opened:
        yield opened


async def apply_url(grove: Provisioner, client_id: str, kind: str, url: str) -> list[str]:
    """Apply a file with one client that has a URL, and tell what changed."""
    new = NewClient(id=client_id, name=client_id.title(), placement=NewPlacement(kind=kind, url=url))
    wanted = Wanted(new, ClientChange())
    await check_clients(grove.control, grove.onboarding, [wanted], vault=grove.vault)
    async with grove.control.session() as session:
        applied = await apply_client(
            session, grove.onboarding, wanted, ACTOR, clock=grove.clock, vault=grove.vault, grace_days=30
        )
    return applied.changed


async def count(grove: Provisioner, client_id: str, purpose: Purpose, sql: str) -> Any:
    placement = (await grove.context(client_id)).placement
    databases = Databases(Pools())
    try:
        async with databases.unit(placement, purpose) as unit:
            return await unit.fetchval(placement.render(sql))
    finally:
        await databases.close()


def with_user(url: str, name: str, password: str) -> str:
    return f"postgresql://{name}:{password}@{url.rpartition('@')[2]}"


async def test_an_attached_database_is_read_through_a_changed_url_and_its_login_can_still_only_read(
    grove: Provisioner,
) -> None:
    async with own_database(grove.url) as url:
        name = f"owner_{url.rpartition('/')[2]}"
        await execute(url, f"{TABLE}; CREATE ROLE {name} SUPERUSER LOGIN PASSWORD 'old'")
        assert (await grove.create("ext", placement={"kind": "external", "url": with_user(url, name, "old")})).finished
        await execute(url, f"ALTER ROLE {name} PASSWORD 'new'")
        changed = with_user(url, name, "new")
        assert await apply_url(grove, "ext", "external", changed) == ["placement.url"]
        assert await apply_url(grove, "ext", "external", changed) == []
        assert await count(grove, "ext", Purpose.SOURCE, 'SELECT count(*) FROM public."UserEvents"') == 0
        source_url = (await grove.context("ext")).placement.source_url
        assert source_url is not None
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(source_url, 'BEGIN READ WRITE; DELETE FROM "UserEvents"')
        assert (await grove.remove("ext")).state == "succeeded"
        await execute(url, f"DROP ROLE {name}")


async def test_an_attached_database_that_moved_is_read_where_it_is_now(grove: Provisioner) -> None:
    async with own_database(grove.url) as before, own_database(grove.url) as after:
        for url in (before, after):
            await execute(url, TABLE)
        await execute(after, """INSERT INTO "UserEvents" ("sessionId") VALUES ('moved')""")
        await grove.create("moved", placement={"kind": "external", "url": before})
        assert await apply_url(grove, "moved", "external", after) == ["placement.url"]
        assert await count(grove, "moved", Purpose.SOURCE, 'SELECT count(*) FROM public."UserEvents"') == 1
        await execute(before, f'DROP OWNED BY "{await source_role(grove, "moved")}"')
        assert (await grove.remove("moved")).state == "succeeded"


async def source_role(grove: Provisioner, client_id: str) -> str:
    (row,) = await grove.fetch("SELECT source_role FROM grove.placements WHERE client_id = $1", client_id)
    return str(row["source_role"])


async def test_a_given_database_is_served_through_a_changed_url(grove: Provisioner) -> None:
    async with own_database(grove.url) as url:
        name = f"owner_{url.rpartition('/')[2]}"
        await execute(url, f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD 'old'")
        await grove.create("own", placement={"kind": "database", "url": with_user(url, name, "old")})
        await execute(url, f"ALTER ROLE {name} PASSWORD 'new'")
        changed = with_user(url, name, "new")
        assert await apply_url(grove, "own", "database", changed) == ["placement.url"]
        assert await apply_url(grove, "own", "database", changed) == []
        assert await count(grove, "own", Purpose.READ, "SELECT count(*) FROM {{schema}}.events") == 0
        # Removal works as administrator there.
        assert (await grove.remove("own")).state == "succeeded"
        await execute(url, f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_a_changed_url_that_does_not_lead_to_the_clients_data_is_refused_and_the_old_one_kept(
    grove: Provisioner,
) -> None:
    async with own_database(grove.url) as own, own_database(grove.url) as source, own_database(grove.url) as empty:
        await execute(source, TABLE)
        await grove.create("keeps", placement={"kind": "database", "url": own})
        await grove.create("reads", placement={"kind": "external", "url": source})
        await grove.create("made", placement={"kind": "database"})
        for client_id, kind in (("keeps", "database"), ("reads", "external"), ("made", "database")):
            with pytest.raises(InputRefused) as refused:
                await apply_url(grove, client_id, kind, empty)
            assert refused.value.errors[0][0] == f"{client_id}: /placement/url"
        assert await apply_url(grove, "keeps", "database", own) == []
        assert await apply_url(grove, "reads", "external", source) == []
        for client_id in ("keeps", "reads", "made"):
            assert (await grove.remove(client_id)).state == "succeeded"
