"""The way to a client's database fails without a word: packets are dropped, names unknown, a certificate has expired.

Whoever waits is told in time, others notice nothing, and neither threads nor files are left when it is over.
"""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest import sink
from app.ingest.flush import Flush
from app.ingest.sink import PostgresSink
from tenants.errors import StoreUnavailable
from tenants.ids import TenantId
from tenants.placement import Placement, PlacementKind
from tests.support.certificates import make_certificate
from tests.support.grove import Grove, open_grove, own_database
from tests.support.party import Party
from tests.support.pools import open_databases
from tests.support.proxy import Proxy, proxy_to
from tests.support.waiting import until

pytestmark = pytest.mark.fault(31)

# A flush is given up after ten seconds, and three more are granted to take back what it began.
DEADLINE_S = 20.0
OTHERS_S = 2.0
SENDERS = 10
# Sockets of connections that this process holds for good reason, of pools that were not used before.
MORE_FILES = 20


class Names:
    """The machine's resolver, which may never answer for a name until it says that it does not know it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.unanswered: set[str] = set()
        self.answered = threading.Event()
        self._resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: Any, *args: Any, **given: Any) -> Any:
        if host in self.unanswered:
            self.answered.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._resolve("127.0.0.1" if host.endswith(".grove.test") else host, *args, **given)


class Way:
    """A client with a database of its own, and the way there."""

    def __init__(self, sender: Party, line: Proxy, database_url: str) -> None:
        self.sender = sender
        self.line = line
        self.database_url = database_url


@asynccontextmanager
async def way_of(grove: Grove, name: str, *, query: str = "", line_tls: Any = None) -> AsyncIterator[Way]:
    """Make a client whose database is reached by a name."""
    async with own_database(grove.settings.main_url) as url, proxy_to(url) as line:
        line.tls = line_tls
        named = line.url.replace("127.0.0.1", f"{name}.grove.test") + query
        client = await grove.make_client(name, placement={"kind": "database", "url": named})
        yield Way(Party(grove, client), line, url)


async def test_a_way_that_fails_without_a_word_is_given_up_in_time_and_leaves_nothing_behind(
    durable_postgres: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch)
    good = make_certificate("expired.grove.test")
    old = make_certificate("expired.grove.test", expired=True)
    (folder / "trusted.pem").write_text(good.public + old.public)
    tls = f"?sslmode=verify-full&sslrootcert={folder / 'trusted.pem'}"
    async with open_grove(durable_postgres.url) as grove, AsyncExitStack() as stack:
        async with grove.worker():
            silent, nameless = [await stack.enter_async_context(way_of(grove, name)) for name in ("silent", "nameless")]
            expired = await stack.enter_async_context(way_of(grove, "expired", query=tls, line_tls=good.server))
            other = Party(grove, await grove.make_client("other"))
        ways = [silent, nameless, expired]
        for sender in (*(way.sender for way in ways), other):
            assert (await sender.send_new()).status_code == 202
        files, threads = open_files(), threading.active_count()

        silent.line.hold()
        names.unanswered.add("nameless.grove.test")
        expired.line.tls = old.server
        for way in (nameless, expired):
            await way.line.sever()
        started = time.monotonic()
        refused = asyncio.gather(*(way.sender.send_new() for way in ways for _ in range(SENDERS)))
        waits = []
        while not refused.done():
            sent_at = time.monotonic()
            assert (await other.send_new()).status_code == 202
            waits.append(time.monotonic() - sent_at)
            await asyncio.sleep(0.05)
        took_s = time.monotonic() - started
        assert {answer.status_code for answer in await refused} == {503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in await refused)
        assert took_s < DEADLINE_S
        assert sorted(waits)[len(waits) * 95 // 100] < OTHERS_S

        silent.line.let_go()
        names.unanswered.clear()
        names.answered.set()
        expired.line.tls = good.server
        for way in ways:
            assert (await way.sender.send_new()).status_code == 202
            assert await way.sender.judge(way.database_url) == []
        assert await other.judge() == []

        async def is_as_before() -> bool:
            return open_files() <= files + MORE_FILES

        await until(is_as_before, within_s=10)
        # The executor that resolves names keeps its threads, of which there are never more.
        assert threading.active_count() <= threads + 6


async def test_a_server_whose_own_database_falls_silent_answers_in_time_and_comes_back(
    durable_postgres: EmbeddedPostgres, folder: Path
) -> None:
    certificate = make_certificate("localhost")
    (folder / "trusted.pem").write_text(certificate.public)
    async with proxy_to(durable_postgres.url) as line:
        line.tls = certificate.server
        url = line.url.replace("127.0.0.1", "localhost")
        async with open_grove(f"{url}?sslmode=verify-full&sslrootcert={folder / 'trusted.pem'}") as grove:
            async with grove.worker():
                sender = Party(grove, await grove.make_client("maple"))
            assert (await sender.send_new()).status_code == 202
            with line.silence():
                started = time.monotonic()
                refused, unanswered = await asyncio.gather(
                    asyncio.gather(*(sender.send_new() for _ in range(SENDERS))),
                    asyncio.gather(*(sender.ask_totals() for _ in range(3))),
                )
                assert {answer.status_code for answer in refused} == {503}
                # Who waits for a turn while another's question is not answered may run out of time first.
                assert {answer.status_code for answer in unanswered} <= {429, 503}
                assert all(int(answer.headers["retry-after"]) > 0 for answer in refused + unanswered)
                assert time.monotonic() - started < DEADLINE_S
                # By now nothing that was remembered is believed: the key itself must be looked up.
                started = time.monotonic()
                assert (await sender.send_new()).status_code == 503
                assert time.monotonic() - started < DEADLINE_S
            await until(lambda: is_taken(sender), within_s=10)
            assert await sender.judge() == []


async def test_the_longer_a_database_does_not_answer_the_later_senders_are_asked_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink, "GIVE_UP_S", 0.2)
    monkeypatch.setattr(sink, "LAST_TRY_S", 0.2)
    async with open_databases(ingest=4) as databases, silent_server() as url, asyncio.timeout(OTHERS_S + 2):
        placement = Placement(
            tenant_id=TenantId("silent"), kind=PlacementKind.SCHEMA, server="main", database="grove", serve_url=url,
            schema="t_1", owner_role="t_1_o", writer_role="t_1_w", reader_role="t_1_r", login_role="t_1_l",
        )  # fmt: skip
        told = 0
        while told < 2:
            with pytest.raises(StoreUnavailable) as refused:
                await PostgresSink(databases).store(placement, Flush(id=1, submissions=[]))
            assert refused.value.retry_after_s >= told
            told = refused.value.retry_after_s


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Take connections and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"postgresql://grove@127.0.0.1:{listening.getsockname()[1]}/grove?sslmode=disable"


async def is_taken(sender: Party) -> bool:
    """Send, and tell whether it was acknowledged."""
    return (await sender.send_new()).status_code == 202


def open_files() -> int:
    """Count what this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
