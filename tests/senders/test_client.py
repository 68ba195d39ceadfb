"""The Python client against a real server: what was tracked arrives once, whatever happens on the way."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from grove_analytics import Grove, Rejected

from app.embedded.ports import free_port
from tests.support.proxy import Proxy
from tests.support.servers import Client, await_that

NOBODY = "http://127.0.0.1:{port}"


@pytest.fixture
async def network(client: Client) -> AsyncIterator[Proxy]:
    """What lies between, and can fail."""
    proxy = Proxy(f"http://127.0.0.1:{client.port}")
    await proxy.start()
    yield proxy
    await proxy.stop()


@contextmanager
def made(client: Client, url: str | None = None, **wanted: Any) -> Iterator[Grove]:
    """Make what the tests are about; it gives up soon at the end."""
    grove = Grove(secret(client), url or f"http://127.0.0.1:{client.port}", **{"linger_s": 0.05} | wanted)
    try:
        yield grove
    finally:
        grove.close(timeout_s=0.2)


def secret(client: Client) -> str:
    return client.key["Authorization"].removeprefix("Bearer ")


def through(proxy: Proxy) -> str:
    return f"http://127.0.0.1:{urlsplit(proxy.url).port}"


async def so(holds: Callable[[], bool]) -> None:
    """Wait until something has become so in the sending thread."""

    async def ask() -> bool:
        return holds()

    await await_that(ask)


async def flushed(grove: Grove) -> bool:
    return await asyncio.to_thread(grove.flush, 20.0)


async def stored(client: Client, name: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await client.fetch("SELECT * FROM {schema}.events WHERE name = $1", name)]


async def test_what_is_tracked_arrives_as_it_was_meant(client: Client) -> None:
    name, at, user = f"n{uuid.uuid4()}", datetime.now(UTC), uuid.uuid4()  # noqa: TID251 - a sender's own clock
    with made(client) as grove:
        grove.track(
            name, user_id=str(user), amount=Decimal("49.90"), currency="EUR", occurred_at=at,
            properties={"ref": user, "ü": None},
        )  # fmt: skip
        assert await flushed(grove)
    (row,) = await stored(client, name)
    assert (row["user_id"], row["amount"], row["currency"], row["occurred_at"]) == (
        str(user), Decimal("49.90"), "EUR", at,
    )  # fmt: skip
    assert json.loads(row["properties"]) == {"ref": str(user), "ü": None}


async def test_ids_sort_by_time(client: Client) -> None:
    name, started_ms = f"n{uuid.uuid4()}", time.time_ns() // 1_000_000
    with made(client) as grove:
        grove.track(name)
        assert await flushed(grove)
    (row,) = await stored(client, name)
    found = uuid.UUID(str(row["event_id"]))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert started_ms <= found.int >> 80 <= time.time_ns() // 1_000_000


async def test_pages_and_people_arrive_under_their_names(client: Client) -> None:
    visitor = str(uuid.uuid4())
    with made(client) as grove:
        grove.page("https://shop.example/a?utm_source=mail", visitor_id=visitor)
        grove.identify("u9", {"plan": "pro"}, visitor_id=visitor)
        assert await flushed(grove)
    rows = await client.fetch(
        "SELECT name, user_id, page_path, utm_source FROM {schema}.events WHERE visitor_id = $1 ORDER BY name", visitor
    )
    assert [tuple(row) for row in rows] == [("identify", "u9", None, None), ("page_view", None, "/a", "mail")]


async def test_batches_go_off_by_themselves(client: Client) -> None:
    name = f"n{uuid.uuid4()}"
    with made(client, linger_s=60, batch_size=5) as grove:
        for _ in range(10):
            grove.track(name)
        await so(lambda: not grove.waiting)
    assert len(await stored(client, name)) == 10


async def test_events_wait_while_the_server_is_away(
    client: Client, network: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"n{uuid.uuid4()}"
    await network.stop()
    with made(client, through(network)) as grove:
        for _ in range(7):
            grove.track(name)
        await so(lambda: "events wait, next attempt" in caplog.text)
        assert grove.waiting == 7
        await network.start()
        await so(lambda: not grove.waiting)
    assert len(await stored(client, name)) == 7


async def test_a_lost_answer_doubles_nothing(client: Client, network: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    name = f"n{uuid.uuid4()}"
    network.delay_s = 1.5
    with made(client, through(network), timeout_s=0.3) as grove:
        grove.track(name)

        async def there() -> bool:
            return len(await stored(client, name)) == 1

        await await_that(there)
        await so(lambda: "Timeout" in caplog.text)
        assert grove.waiting == 1
        network.delay_s = 0
        await so(lambda: not grove.waiting)
    assert len(await stored(client, name)) == 1


async def test_a_spool_outlives_who_filled_it(client: Client, tmp_path: Path) -> None:
    name, spool = f"n{uuid.uuid4()}", tmp_path / "spool.sqlite"
    with made(client, NOBODY.format(port=free_port()), spool=spool) as grove:
        grove.track(name)
    with made(client, spool=spool) as heir:
        assert await flushed(heir)
    assert len(await stored(client, name)) == 1


async def test_who_closes_waits_for_what_can_be_sent(client: Client) -> None:
    name = f"n{uuid.uuid4()}"
    with made(client, linger_s=60) as grove:
        grove.track(name)
        await asyncio.to_thread(grove.close)
        await asyncio.to_thread(grove.close)
    assert len(await stored(client, name)) == 1


async def test_a_refused_event_is_told_and_its_neighbours_are_stored(client: Client) -> None:
    name, told = f"n{uuid.uuid4()}", list[Rejected]()
    with made(client, on_rejected=told.append) as grove:
        grove.track(name)
        grove.track(name, currency="euro")
        assert await flushed(grove)
    assert [(found.code, found.pointer, found.event["currency"]) for found in told] == [
        ("invalid", "/currency", "euro")
    ]
    assert len(await stored(client, name)) == 1


async def test_an_event_that_no_body_can_hold_goes_alone(client: Client) -> None:
    name, told = f"n{uuid.uuid4()}", list[Rejected]()
    with made(client, linger_s=60, on_rejected=told.append) as grove:
        for number in range(9):
            grove.track(name, properties={"text": "x" * (6 * 1024 * 1024 if number == 4 else 1)})
        assert await flushed(grove)
    assert [found.code for found in told] == ["body_too_large"]
    assert len(await stored(client, name)) == 8


async def test_a_failing_listener_holds_nothing_up(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_rejected: Rejected) -> None:
        message = "the listener's fault"
        raise ValueError(message)

    name = f"n{uuid.uuid4()}"
    with made(client, on_rejected=fail) as grove:
        grove.track(name, currency="euro")
        grove.track(name)
        assert await flushed(grove)
    assert "the listener's fault" in caplog.text
    assert len(await stored(client, name)) == 1


async def test_a_key_that_nobody_knows_loses_nothing(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    grove = Grove("grv_s_unknown", f"http://127.0.0.1:{client.port}", linger_s=0.01)
    grove.track("x")
    await so(lambda: "401" in caplog.text)
    assert grove.waiting == 1
    grove.close(timeout_s=0.2)
    assert "Closed with 1 events" in caplog.text


def test_too_many_waiting_events_are_refused_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    grove = Grove("key", NOBODY.format(port=free_port()), max_waiting=3)
    for _ in range(5):
        grove.track("x")
    assert (grove.waiting, grove.refused) == (3, 2)
    assert "3 events wait" in caplog.text
    grove.close(timeout_s=0.1)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (object(), TypeError),
        (float("nan"), ValueError),
        (datetime(2026, 1, 1), ValueError),  # noqa: DTZ001 - that is the point
    ],
)
def test_what_json_cannot_say_is_refused_at_once(value: object, error: type[Exception]) -> None:
    with Grove("key", NOBODY.format(port=free_port())) as grove:
        with pytest.raises(error):
            grove.track("x", properties={"value": value})
        assert grove.waiting == 0


def test_a_batch_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="from 1 to 1000"):
        Grove("key", "http://127.0.0.1:1", batch_size=0)


def test_a_disk_that_takes_nothing_more_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Grove("key", NOBODY.format(port=free_port()), spool=tmp_path / "spool.sqlite") as grove:
        grove._spool._database.execute("PRAGMA max_page_count = 1")  # noqa: SLF001 - a disk cannot be filled here
        with caplog.at_level(logging.ERROR):
            grove.track("x", properties={"text": "x" * 100_000})
        assert (grove.waiting, grove.refused) == (0, 1)
