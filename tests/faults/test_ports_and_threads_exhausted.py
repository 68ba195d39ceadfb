"""No port is left for a connection, or no thread may begin: what needs one is refused, and the server recovers."""

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from tests.support.grove import open_grove
from tests.support.party import Party
from tests.support.proxy import Proxy, proxy_to
from tests.support.waiting import until

pytestmark = pytest.mark.fault(33)

STEPS = {"steps": ["page_view", "purchase"]}
PERIOD = {"from": "2026-01-01", "to": "2027-01-01"}


class Room:
    """What is left of something on this machine: all that a process asks for, or nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_left = True
        self.refused = 0
        self._monkeypatch = monkeypatch

    def limit(self, owner: type, name: str, refusal: Exception) -> None:
        """Have a call refused as the kernel would while nothing is left."""
        granted = getattr(owner, name)

        def ask(*args: Any, **given: Any) -> Any:
            if self.is_left:
                return granted(*args, **given)
            self.refused += 1
            raise refusal

        self._monkeypatch.setattr(owner, name, ask)


@asynccontextmanager
async def open_party(
    postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> AsyncIterator[tuple[Party, Proxy, httpx.AsyncClient]]:
    """Serve a client over connections that can be cut."""
    async with proxy_to(postgres.url) as line, open_grove(line.url, redis_url=valkey.url) as grove:
        async with grove.worker():
            party = Party(grove, await grove.make_client("maple"))
        assert (await party.send_new()).status_code == 202
        yield party, line, grove.http


async def test_without_ports_who_needs_a_new_connection_is_told_to_come_back(
    durable_postgres: EmbeddedPostgres, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = Room(monkeypatch)
    ports.limit(socket.socket, "connect", OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"))
    async with open_party(durable_postgres, valkey) as (party, line, _):
        ports.is_left = False
        assert (await party.send_new()).status_code == 202  # over a connection that is there
        await line.sever()
        refused = [*await asyncio.gather(*(party.send_new() for _ in range(5))), await party.ask_totals()]
        assert {answer.status_code for answer in refused} == {503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert ports.refused > 0
        ports.is_left = True

        async def is_taken() -> bool:
            return (await party.send_new()).status_code == 202

        await until(is_taken, within_s=10)
        assert (await party.ask_totals()).status_code == 200
        assert await party.judge() == []


async def test_without_threads_what_needs_one_is_refused_and_events_are_taken(
    durable_postgres: EmbeddedPostgres, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = Room(monkeypatch)
    threads.limit(threading.Thread, "start", RuntimeError("can't start new thread"))
    async with open_party(durable_postgres, valkey) as (party, _, http):

        async def ask_funnel() -> httpx.Response:
            path = "/api/v1/analytics/funnel/analyze"
            return await http.post(path, params=PERIOD, json=STEPS, headers=party.client.server)

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())  # one that has no thread yet
        threads.is_left = False
        refused = await ask_funnel()
        assert (refused.status_code, refused.json()["code"]) == (503, "exhausted")
        assert int(refused.headers["retry-after"]) > 0
        assert threads.refused > 0
        assert (await party.send_new()).status_code == 202
        assert (await party.ask_totals()).status_code == 200
        threads.is_left = True
        assert (await ask_funnel()).status_code == 200
        assert await party.judge() == []
