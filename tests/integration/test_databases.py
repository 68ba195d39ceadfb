"""The pools: a change of a client cuts nobody off, what hangs is given up in time, and no connection is lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

import tenants.databases
from app.embedded.postgres import EmbeddedPostgres
from tenants.databases import CONNECT_TIMEOUT_S, GRACE_S, Databases, TenantConnection
from tenants.errors import StoreUnavailable
from tenants.ids import quote
from tenants.placement import Placement, PlacementKind, Purpose
from tests.support.grove import execute, open_grove
from tests.support.placements import placed
from tests.support.pools import QUERY_CONNECTIONS, open_databases
from tests.support.proxy import proxy_to
from tests.support.waiting import until

READERS = 4
CHANGES = 15


@pytest.fixture(scope="module")
async def placement(postgres: EmbeddedPostgres) -> AsyncIterator[Placement]:
    """A client with a database of its own."""
    async with placed(postgres.url, kind=PlacementKind.DATABASE) as made:
        yield made


async def test_changes_of_a_client_with_its_own_database_cut_off_no_question(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url) as grove:
        async with grove.worker():
            maple = await grove.make_client("maple", placement={"kind": "database"})
        changed = asyncio.Event()
        statuses: list[int] = []

        async def read() -> None:
            while not changed.is_set():
                statuses.append((await grove.http.get("/api/maple/hourly", headers=maple.server)).status_code)

        reading = [asyncio.create_task(read()) for _ in range(READERS)]
        for number in range(CHANGES):
            color = {"branding": {"primaryColor": f"#0000{number:02x}"}}
            assert (await grove.http.patch(maple.path, json=color, headers=grove.platform)).status_code == 200
        changed.set()
        await asyncio.gather(*reading)
    assert len(statuses) > CHANGES
    assert set(statuses) == {200}


async def test_a_place_that_a_client_left_is_closed_when_nobody_is_in_it(
    databases: Databases, placement: Placement, postgres: EmbeddedPostgres
) -> None:
    async with databases.unit(placement, Purpose.READ) as unit:
        leaving = asyncio.create_task(databases.forget(placement))
        assert await unit.fetchval("SELECT 1 FROM pg_catalog.pg_sleep(0.2)") == 1
        assert not leaving.done()
    await leaving
    await until(lambda: is_empty(postgres, placement), within_s=5)


async def test_a_place_that_a_client_left_is_closed_in_the_end_even_if_somebody_stays(
    databases: Databases, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants.databases, "RETIRE_S", 0.1)

    async def stay() -> None:
        async with databases.unit(placement, Purpose.READ) as unit:
            await databases.forget(placement)
            await ping(unit)

    with pytest.raises(StoreUnavailable):
        await stay()


async def test_a_place_that_a_client_keeps_stays_open(databases: Databases, placement: Placement) -> None:
    backend = await backend_of(databases, placement)
    await databases.forget(placement, now=msgspec.structs.replace(placement, reader_role="another"))
    assert await backend_of(databases, placement) == backend


async def test_who_waits_for_a_pool_that_is_closed_is_told_that_it_is_not_available(
    databases: Databases, placement: Placement
) -> None:
    asking = asyncio.create_task(backend_of(databases, placement))
    await asyncio.sleep(0)
    await databases.close()
    with pytest.raises(StoreUnavailable):
        await asking


@pytest.mark.fault(31)
async def test_a_database_that_hangs_between_questions_is_given_up_in_time(
    databases: Databases, placement: Placement
) -> None:
    async with proxy_to(placement.serve_url) as proxy:
        there = msgspec.structs.replace(placement, serve_url=proxy.url)
        await backend_of(databases, there)
        proxy.hold()
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await backend_of(databases, there)
        assert time.monotonic() - started < CONNECT_TIMEOUT_S + 1
        proxy.let_go()
        await use_all(databases, there)


@pytest.mark.fault(31)
async def test_a_database_that_hangs_within_a_question_is_given_up_in_time(
    databases: Databases, placement: Placement
) -> None:
    async with proxy_to(placement.serve_url) as proxy:
        there = msgspec.structs.replace(placement, serve_url=proxy.url)
        started = time.monotonic()

        async def ask() -> None:
            async with databases.unit(there, Purpose.READ, statement_timeout_ms=1000) as unit:
                proxy.hold()
                await unit.fetchval("SELECT 1")

        with pytest.raises(StoreUnavailable):
            await ask()
        assert time.monotonic() - started < 1 + GRACE_S + 1
        proxy.let_go()
        await use_all(databases, there)


async def backend_of(databases: Databases, placement: Placement) -> int:
    """Ask which process of the database answers."""
    async with databases.unit(placement, Purpose.READ) as unit:
        return int(await unit.fetchval("SELECT pg_catalog.pg_backend_pid()"))


async def use_all(databases: Databases, placement: Placement) -> None:
    """Use all connections of a pool at the same time."""
    barrier = asyncio.Barrier(QUERY_CONNECTIONS)

    async def use() -> None:
        async with databases.unit(placement, Purpose.READ) as unit:
            await barrier.wait()
            await ping(unit)

    await asyncio.gather(*(use() for _ in range(barrier.parties)))


async def ping(unit: TenantConnection) -> None:
    """Ask for nothing."""
    assert await unit.fetchval("SELECT 1") == 1


async def is_empty(postgres: EmbeddedPostgres, placement: Placement) -> bool:
    """Tell whether nobody is connected to a client's own database."""
    connection = await asyncpg.connect(postgres.url)
    try:
        query = "SELECT count(*) = 0 FROM pg_catalog.pg_stat_activity WHERE datname = $1"
        return bool(await connection.fetchval(query, placement.database))
    finally:
        await connection.close()


async def test_a_connection_is_replaced_when_it_has_served_enough_clients(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants.databases, "MOST_CLIENTS", dict.fromkeys(Purpose, 1))
    async with (
        placed(postgres.url, client_id="first") as first,
        placed(postgres.url, client_id="other") as other,
        open_databases(ingest=1, query=1) as pools,
    ):
        login = urlsplit(first.serve_url).username or ""
        await execute(postgres.url, f"GRANT {quote(other.writer_role)}, {quote(other.reader_role)} TO {quote(login)}")
        second = msgspec.structs.replace(other, serve_url=first.serve_url)
        for purpose in (Purpose.WRITE, Purpose.READ):
            backends = []
            for placement in (first, first, second, first):
                async with pools.unit(placement, purpose) as unit:
                    backends.append(await unit.fetchval("SELECT pg_backend_pid()"))
            assert backends[0] == backends[1]
            assert len(set(backends)) == 3

        async def is_gone() -> bool:
            async with pools.unit(first, Purpose.READ) as unit:
                return not await unit.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", backends[0])

        await until(is_gone, within_s=5)
