"""What one client asks for too much of costs the others nothing but a moment, and is refused with when to come back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.ids import quote
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.waiting import until

QUESTION = "/api/v1/analytics/summary"
CROWD = 300
CONNECTIONS = 8


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with as many connections for questions as by default."""
    async with open_grove(postgres.url, query_connections=CONNECTIONS) as running:
        yield running


@pytest.fixture(scope="module")
async def clients(grove: Grove) -> tuple[MadeClient, MadeClient]:
    """Two clients of one database."""
    async with grove.worker():
        return await grove.make_client("loud"), await grove.make_client("quiet")


async def test_a_crowd_of_questions_that_hang_holds_a_part_of_the_connections_and_its_excess_is_refused(
    grove: Grove, clients: tuple[MadeClient, MadeClient]
) -> None:
    loud, quiet = clients
    schema = quote((await grove.placement_of("loud")).schema)
    holder = await asyncpg.connect(grove.settings.main_url)
    watcher = await asyncpg.connect(grove.settings.main_url)  # in a transaction one sees the same activity for ever
    await holder.execute(f"BEGIN; LOCK TABLE {schema}.events, {schema}.rollup_quarters IN ACCESS EXCLUSIVE MODE")
    crowd = [asyncio.create_task(grove.http.get(QUESTION, headers=loud.server)) for _ in range(CROWD)]
    try:

        async def is_hanging() -> bool:
            return await waiting_for_locks(watcher) > 0

        await until(is_hanging, within_s=10)
        hanging = 0
        for _ in range(5):
            answer = await grove.http.get(QUESTION, headers=quiet.server)
            assert answer.status_code == 200, answer.text
            hanging = max(hanging, await waiting_for_locks(watcher))
        assert not all(task.done() for task in crowd), "the crowd was meant to outlast the quiet questions"
    finally:
        await holder.execute("ROLLBACK")
        await holder.close()
        await watcher.close()
    refused = [answer for answer in await asyncio.gather(*crowd) if answer.status_code != 200]
    assert 1 <= hanging <= CONNECTIONS // 4
    assert {answer.status_code for answer in refused} <= {429, 503}
    assert 429 in {answer.status_code for answer in refused}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert (await grove.http.get(QUESTION, headers=loud.server)).status_code == 200


async def waiting_for_locks(connection: asyncpg.Connection) -> int:
    """Count the statements that wait for a lock in this database."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() "
        "AND usename = 'grove_app'"
    )
    return int(await connection.fetchval(query))


@pytest.mark.parametrize("wanted", [0, 101, -1, 1.5, None])
async def test_a_share_that_cannot_be_is_refused(
    grove: Grove, clients: tuple[MadeClient, MadeClient], wanted: Any
) -> None:
    answer = await change(grove, clients[0], share=wanted)
    assert answer.status_code in {400, 422}, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/share"]


async def test_a_share_is_changed_by_the_platform_and_known_to_the_pools(
    grove: Grove, clients: tuple[MadeClient, MadeClient]
) -> None:
    own = await grove.http.patch(clients[1].path, json={"share": 5}, headers=clients[1].admin)
    assert own.status_code == 403
    assert (await change(grove, clients[1], share=5)).json()["share"] == 5
    assert (await grove.placement_of("quiet")).share == 5


async def change(grove: Grove, client: MadeClient, **wanted: Any) -> httpx.Response:
    """Change a client as the platform."""
    return await grove.http.patch(client.path, json=wanted, headers=grove.platform)
