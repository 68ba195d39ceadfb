"""A revoked key is out within a second in every process, with and without Redis between them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack

import httpx
import pytest

from app.bootstrap import bootstrap
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from tests.support.grove import bearer, grove_settings, own_database
from tests.support.waiting import until
from tests.support.web import is_ready, web_process

pytestmark = pytest.mark.fault(12)

LIMIT_S = 1.0


@pytest.fixture(params=["with Redis", "without Redis"])
async def processes(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> AsyncIterator[tuple[list[httpx.AsyncClient], str]]:
    """Two web processes on one database, and the platform's key."""
    redis_url = valkey.url if request.param == "with Redis" else None
    async with own_database(postgres.url) as url:
        settings = grove_settings(url, redis_url=redis_url, log_level="warning")
        platform_key = (await bootstrap(settings)).platform_key
        assert platform_key is not None
        with ExitStack() as stack:
            addresses = [stack.enter_context(web_process(settings)) for _ in range(2)]
            clients = [httpx.AsyncClient(base_url=address) for address in addresses]
            for client in clients:
                await until(lambda client=client: is_ready(client), within_s=30)  # type: ignore[misc]
            yield clients, platform_key
            for client in clients:
                await client.aclose()


async def is_let_in(client: httpx.AsyncClient, key: str) -> bool:
    """Tell whether a process takes a key."""
    status = (await client.get("/clients", headers=bearer(key))).status_code
    assert status in {200, 401}
    return status == 200


async def test_a_revoked_key_is_out_in_every_process_within_a_second(
    processes: tuple[list[httpx.AsyncClient], str],
) -> None:
    (first, second), platform_key = processes
    for _ in range(3):
        made = (await first.post("/api/v1/keys", json={}, headers=bearer(platform_key))).json()
        # Both have it in their caches.
        assert [await is_let_in(each, made["key"]) for each in (first, second, first, second)] == [True] * 4
        revoked_at = time.monotonic()
        answer = await first.delete(f"/api/v1/keys/{made['id']}", headers=bearer(platform_key))
        assert answer.status_code == 204
        await asyncio.gather(*(out_by(each, made["key"], revoked_at + LIMIT_S) for each in (first, second)))


async def out_by(client: httpx.AsyncClient, key: str, deadline: float) -> None:
    """Wait until a process refuses a key; it must by the deadline, and for good."""

    async def is_out() -> bool:
        return not await is_let_in(client, key)

    await until(is_out, within_s=max(deadline - time.monotonic(), 0))
    assert [await is_let_in(client, key) for _ in range(5)] == [False] * 5
