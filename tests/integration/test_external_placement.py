"""A client's existing database is attached through a login that only reads, and nothing else there is touched."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.databases import Databases
from tenants.errors import DatabaseRefused
from tenants.placement import Purpose
from tests.support.grove import own_database
from tests.support.provisioner import Pools, Provisioner, execute, fetch, open_provisioner

TABLE = """CREATE TABLE "UserEvents" ("sessionId" text PRIMARY KEY, "pageLoaded" timestamp, "widgetOpened" timestamp,
"requestedHuman" timestamp, "pressedAccept" timestamp, "pressedCallback" timestamp, "pressedContinue" timestamp,
"createdAt" timestamp, "updatedAt" timestamp);
INSERT INTO "UserEvents" ("sessionId", "pageLoaded") VALUES ('s1', '2026-01-02 03:04');
CREATE TABLE invoices (amount int)"""


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    async with open_provisioner(postgres.url) as opened:
        yield opened


@asynccontextmanager
async def attached(grove: Provisioner, *, rights: str = "", ddl: str = TABLE) -> AsyncIterator[tuple[str, str]]:
    """Make a customer's database; yield its owner's URL and that of a login with the given rights."""
    async with own_database(grove.url) as url:
        await execute(url, ddl)
        name = f"customer_{url.rpartition('/')[2]}"
        await execute(url, f"CREATE ROLE {name} LOGIN PASSWORD 'pw'; {rights.format(role=name)}")
        yield url, f"postgresql://{name}:pw@{url.rpartition('@')[2]}"
        await execute(url, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def external(url: str, **more: Any) -> dict[str, Any]:
    return {"kind": "external", "url": url} | more


async def roles_of(url: str) -> list[str]:
    return [row["rolname"] for row in await fetch(url, "SELECT rolname FROM pg_roles ORDER BY 1")]


async def test_a_login_that_only_reads_is_made_and_removed_again(grove: Provisioner) -> None:
    async with attached(grove) as (url, _):
        roles = await roles_of(url)
        rights = await fetch(url, "SELECT datacl::text FROM pg_database WHERE datname = current_database()")
        view = await grove.create("ext", placement=external(url, sourceTimezone="Europe/Paris"))
        assert {step.name: step.state for step in view.steps}["source"] == "done"
        placement = (await grove.context("ext")).placement
        assert placement.source_url is not None
        assert placement.source is not None
        assert placement.source.timezone == "Europe/Paris"
        databases = Databases(Pools())
        async with databases.unit(placement, Purpose.SOURCE) as unit:
            assert await unit.fetchval('SELECT count(*) FROM public."UserEvents"') == 1
        async with databases.unit(placement, Purpose.READ) as unit:
            assert await unit.fetchval(placement.render("SELECT count(*) FROM {{schema}}.events")) == 0
        await databases.close()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(placement.source_url, 'BEGIN READ WRITE; DELETE FROM "UserEvents"')
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await fetch(placement.source_url, "SELECT * FROM invoices")

        result = (await grove.check("ext")).result
        assert result is not None
        sourced = [attempt for attempt in result["attempts"] if attempt["role"] == "source login"]
        assert len(sourced) > 5
        assert {attempt["outcome"] for attempt in sourced} == {"denied"}

        assert (await grove.remove("ext")).state == "succeeded"
        assert await roles_of(url) == roles
        assert len(await fetch(url, 'SELECT * FROM "UserEvents"')) == 1
        after = await fetch(url, "SELECT datacl::text FROM pg_database WHERE datname = current_database()")
        assert {"CONNECT" for row in rights if row["datacl"] is None} == {
            "CONNECT" for row in after if row["datacl"] is None or "=Tc/" in row["datacl"]
        }


async def test_a_url_that_only_reads_is_used_as_it_is(grove: Provisioner) -> None:
    rights = 'GRANT SELECT ON "UserEvents" TO {role}'
    async with attached(grove, rights=rights) as (url, given):
        roles = await roles_of(url)
        view = await grove.create("reads", placement=external(given))
        assert view.state == "succeeded"
        assert (await grove.context("reads")).placement.source_url == given
        made = set(await roles_of(url)) - set(roles)
        assert {name[-2:] for name in made} == {"_o", "_w", "_r", "_l"}, "only the roles of its Grove schema"
        assert (await grove.remove("reads")).state == "succeeded"
        assert await roles_of(url) == roles


async def test_a_url_that_can_write_and_make_no_login_is_refused(grove: Provisioner) -> None:
    before = await grove.catalogs()
    async with attached(grove, rights='GRANT SELECT, INSERT ON "UserEvents" TO {role}') as (_, given):
        with pytest.raises(DatabaseRefused, match="can write") as refused:
            await grove.request("writes", placement=external(given))
        assert refused.value.field == "/placement/url"
    assert await grove.catalogs() == before


async def test_a_login_that_owns_the_tables_and_may_make_roles_makes_one_that_reads(grove: Provisioner) -> None:
    rights = 'ALTER ROLE {role} CREATEROLE; ALTER TABLE "UserEvents" OWNER TO {role}; GRANT CREATE ON SCHEMA public TO '
    rights += "{role}"
    async with attached(grove, rights=rights) as (_, given):
        view = await grove.create("owns", placement=external(given))
        assert view.state == "succeeded", view.error
        source_url = (await grove.context("owns")).placement.source_url
        assert source_url is not None
        assert source_url != given
        assert len(await fetch(source_url, 'SELECT * FROM "UserEvents"')) == 1
        assert (await grove.remove("owns")).state == "succeeded"


@pytest.mark.parametrize(
    ("ddl", "more", "words"),
    [
        ("CREATE TABLE other (x int)", {}, 'no table "UserEvents"'),
        ('CREATE TABLE "UserEvents" ("sessionId" text, "pageLoaded" timestamp)', {}, "lacks the columns widgetOpened"),
        (TABLE.replace('"pageLoaded" timestamp', '"pageLoaded" int').partition("INSERT")[0], {}, "must be a timestamp"),
        (TABLE, {"schema": "chat"}, "Schema chat has no table"),
        (TABLE, {"tables": {"Leads": "contacts"}}, 'no table "contacts"'),
        (TABLE, {"columns": {"UserEvents": {"sessionId": "sid"}}}, "lacks the columns sid"),
    ],
)
async def test_a_database_without_the_tables_is_refused(
    grove: Provisioner, ddl: str, more: dict[str, Any], words: str
) -> None:
    async with attached(grove, ddl=ddl) as (url, _):
        with pytest.raises(DatabaseRefused, match=words):
            await grove.request("lacks", placement=external(url, **more))


async def test_a_login_that_may_not_read_the_table_is_refused(grove: Provisioner) -> None:
    async with attached(grove) as (_, given):
        with pytest.raises(DatabaseRefused, match="may not read"):
            await grove.request("blind", placement=external(given))


async def test_tables_in_another_schema_with_other_names_are_found(grove: Provisioner) -> None:
    ddl = "CREATE SCHEMA chat; SET search_path = chat; " + TABLE.replace('"UserEvents"', '"ue"').replace(
        '"sessionId"', '"sid"'
    )
    async with attached(grove, ddl=ddl) as (url, _):
        more = {"schema": "chat", "tables": {"UserEvents": "ue"}, "columns": {"UserEvents": {"sessionId": "sid"}}}
        view = await grove.create("mapped", placement=external(url, **more))
        assert view.state == "succeeded"
        placement = (await grove.context("mapped")).placement
        assert placement.source is not None
        assert placement.source.columns == {"UserEvents": {"sessionId": "sid"}}
        assert placement.source_url is not None
        assert len(await fetch(placement.source_url, "SELECT sid FROM ue")) == 1
        assert (await grove.remove("mapped")).state == "succeeded"
