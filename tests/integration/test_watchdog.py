"""Readers that unset their limits are cut off, and nobody else is."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.workers.resources import WorkerResources, open_worker_resources
from app.workers.watchdog import Limits, Watchdog
from provisioning.scram import random_password, scram_verifier
from tenants.ids import quote
from tenants.registry import with_login
from tests.support.grove import Grove, execute, open_grove, own_database
from tests.support.site import TIMES
from tests.support.waiting import until

LIMITS = Limits(statement_s=0.5, patience_s=2)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def login_url(grove: Grove) -> str:
    """The URL of a client's login reader, with a password of the test's."""
    client = await grove.make_client("maple")
    password = random_password()
    admin = await asyncpg.connect(grove.settings.main_url)
    role = await admin.fetchval("SELECT login_role FROM grove.placements WHERE client_id = $1", client.id)
    await admin.execute(f"ALTER ROLE {quote(role)} PASSWORD '{scram_verifier(password)}'")
    await admin.close()
    return with_login(grove.settings.main_url, user=role, password=password)


@pytest.fixture(scope="module")
async def resources(grove: Grove) -> AsyncIterator[WorkerResources]:
    """What a worker has open."""
    async with open_worker_resources(grove.settings) as opened:
        yield opened


@asynccontextmanager
async def watching(resources: WorkerResources) -> AsyncIterator[None]:
    task = asyncio.create_task(Watchdog(resources, LIMITS).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def repeat(reader: asyncpg.Connection, sql: str) -> None:
    """Run a statement again and again in one transaction."""
    async with reader.transaction():
        while True:
            await reader.execute(sql)


async def test_a_statement_without_a_limit_is_cancelled_and_the_connection_stays(
    login_url: str, resources: WorkerResources
) -> None:
    reader = await asyncpg.connect(login_url)
    await reader.execute("SET statement_timeout = 0")
    started = time.monotonic()
    async with watching(resources):
        with pytest.raises(asyncpg.QueryCanceledError):
            await reader.execute("SELECT pg_sleep(60)")
    assert time.monotonic() - started < 5
    assert await reader.fetchval("SELECT 1") == 1
    await reader.close()


async def test_a_transaction_that_is_held_open_loses_its_connection(login_url: str, resources: WorkerResources) -> None:
    reader = await asyncpg.connect(login_url)
    await reader.execute("SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT 1")
    async with watching(resources), asyncio.timeout(10):
        while not reader.is_closed():  # noqa: ASYNC110 - the server hangs up
            await asyncio.sleep(0.05)


async def test_many_short_statements_in_one_transaction_are_one_long_one(
    login_url: str, resources: WorkerResources
) -> None:
    reader = await asyncpg.connect(login_url)
    async with watching(resources), asyncio.timeout(20):
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
            await repeat(reader, "SELECT pg_sleep(0.1)")
    reader.terminate()


async def test_a_quick_reader_and_everybody_else_are_left_alone(
    grove: Grove, login_url: str, resources: WorkerResources
) -> None:
    administrator = await asyncpg.connect(grove.settings.main_url)
    reader = await asyncpg.connect(login_url)
    async with watching(resources):
        sleeping = asyncio.create_task(administrator.fetchval("SELECT pg_sleep(3) IS NULL"))
        for _ in range(30):
            assert await reader.fetchval("SELECT 1 FROM pg_sleep(0.05)") == 1
        assert await sleeping is False
    await reader.close()
    await administrator.close()


async def test_the_worker_keeps_watch(grove: Grove) -> None:
    admin = await asyncpg.connect(grove.settings.main_url)
    query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()"

    async def is_watched() -> bool:
        return bool(await admin.fetchval(query, "%pg_terminate_backend(a.pid)%"))

    await until(is_watched, within_s=10)
    await admin.close()


async def test_readers_of_an_attached_database_are_cut_off_with_the_login_that_reads_it(
    grove: Grove, postgres: EmbeddedPostgres, resources: WorkerResources
) -> None:
    async with own_database(postgres.url) as url:
        columns = ", ".join(f'"{name}" timestamp' for name in TIMES)
        await execute(url, f'CREATE TABLE "UserEvents" ("sessionId" text PRIMARY KEY, {columns})')
        client = await grove.make_client("attached", placement={"kind": "external", "url": url})
        source_url = (await grove.placement_of(client.id)).source_url or ""
        reader, owner = await asyncpg.connect(source_url), await asyncpg.connect(url)
        await reader.execute("SET statement_timeout = 0")
        async with watching(resources), asyncio.timeout(20):
            sleeping = asyncio.create_task(owner.fetchval("SELECT pg_sleep(3) IS NULL"))
            with pytest.raises(asyncpg.QueryCanceledError):
                await reader.execute("SELECT pg_sleep(60)")
            assert await reader.fetchval("SELECT 1") == 1
            async with reader.transaction():  # an export reads so: long, and in small parts
                for _ in range(10):
                    assert await reader.fetchval("SELECT 1 FROM pg_sleep(0.3)") == 1
            assert await sleeping is False
        await reader.close()
        await owner.close()


async def test_an_attached_database_that_is_away_holds_up_no_watch(
    grove: Grove, login_url: str, resources: WorkerResources
) -> None:
    async with watching(resources):
        # The database of the test before is gone.
        reader = await asyncpg.connect(login_url)
        await reader.execute("SET statement_timeout = 0")
        with pytest.raises(asyncpg.QueryCanceledError):
            await reader.execute("SELECT pg_sleep(20)")
        await reader.close()
    assert (await grove.http.get("/api/v1/clients/attached", headers=grove.platform)).status_code == 200
