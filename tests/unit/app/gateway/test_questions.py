"""What of a question to `/api/ds/query` is let through."""

import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from app.gateway.questions import MAX_FILLED, read_questions
from tenants.errors import InputRefused

OWN = frozenset({"analytics", "source"})
DAY_MS = 86_400_000
NOW = datetime(2026, 11, 21, 6, 40, tzinfo=UTC)
SOURCE = {"type": "postgres", "uid": "analytics"}


def body(sql: str = "SELECT 1", *, days: int = 30, **changes: Any) -> bytes:
    query = {"refId": "A", "datasource": SOURCE, "rawSql": sql, "format": "table", "intervalMs": 60_000} | changes
    return msgspec.json.encode({"queries": [query], "from": "0", "to": str(days * DAY_MS)})


def read(asked: bytes, zone: str = "UTC") -> bytes:
    return read_questions(asked, OWN, zone=ZoneInfo(zone), now=NOW)


@pytest.mark.parametrize(
    "asked",
    [
        body(),
        body(datasource={"uid": "source"}),
        body("SELECT $__timeGroup(t, '1s') FROM x", days=3650),
        body("SELECT $__timeGroup(t, '1h', 0) FROM x"),
        body("SELECT $__timeGroupAlias(t, $__interval, NULL) FROM x", days=1),
        body("SELECT $__unixEpochGroup(t, '10m', previous) FROM x"),
        body("SELECT '$__timeGroup of the hour' FROM x", days=3650),
    ],
)
def test_what_a_dashboard_asks_passes(asked: bytes) -> None:
    assert read(asked) == asked


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        (body(datasource={"uid": "__expr__"}), "/queries/0/datasource/uid"),
        (body(datasource="analytics"), "/queries/0/datasource/uid"),
        (body(datasource=None), "/queries/0/datasource/uid"),
        (body(fill=True, fillInterval=0.001), "/queries/0/fill"),
        (body(fillInterval=0.001), "/queries/0/fillInterval"),
        (body(rawSql=["SELECT 1"]), "/queries/0/rawSql"),
        (body("SELECT $__timeGroup(t, '1s', 0) FROM x"), "/queries/0/rawSql"),
        (body("SELECT $__timeGroup (t,'1ms',0) FROM x", days=1), "/queries/0/rawSql"),
        (body("SELECT $__timeGroup(t, $__interval, 0) FROM x", days=1, intervalMs=1), "/queries/0/rawSql"),
        (body("SELECT $__timeGroup(t, $__interval, 0) FROM x", days=1, intervalMs="1"), "/queries/0/rawSql"),
        (body("SELECT $__timeGroup(t, '$interval', 0) FROM x", days=1), "/queries/0/rawSql"),
        (body("SELECT $__timeGroup(t, '1h', 0)", timeRange={"from": "now-90y"}), "/queries/0/rawSql"),
        (b'{"queries": {}}', "/queries"),
        (b"[]", "/queries"),
        (b'{"queries": [1]}', "/queries"),
    ],
)
def test_what_would_fill_grafanas_memory_or_ask_elsewhere_is_refused(asked: bytes, pointer: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        read(asked)
    assert refusal.value.field == pointer


@pytest.mark.parametrize("asked", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(asked: bytes) -> None:
    with pytest.raises(InputRefused):
        read(asked)


@pytest.mark.parametrize("hostile", ["$__timeGroup(", "$__timeGroup ", "$__timeGroup(a) "])
def test_no_question_takes_longer_than_its_length_allows(hostile: str) -> None:
    began = time.process_time()
    read(body(hostile * 40_000))
    assert time.process_time() - began < 2


def test_a_filling_is_bounded_by_the_points_that_it_makes() -> None:
    asked = {"queries": [{"datasource": SOURCE, "rawSql": "SELECT $__timeGroup(t, '1s', 0)"}], "from": "0"}
    read(msgspec.json.encode(asked | {"to": str(MAX_FILLED * 1000)}))
    for too_much in (str(MAX_FILLED * 1000 + 1), "now", None):
        with pytest.raises(InputRefused):
            read(msgspec.json.encode(asked | {"to": too_much}))


@pytest.mark.parametrize(
    ("zone", "since", "until"),
    [
        ("UTC", "2026-10-23T00:00:00.000Z", "2026-11-21T23:59:59.999Z"),
        ("Europe/Berlin", "2026-10-22T22:00:00.000Z", "2026-11-21T22:59:59.999Z"),
        ("Pacific/Auckland", "2026-10-22T11:00:00.000Z", "2026-11-21T10:59:59.999Z"),
        ("America/New_York", "2026-10-23T04:00:00.000Z", "2026-11-22T04:59:59.999Z"),
    ],
)
def test_days_begin_where_the_client_is_and_not_where_the_browser_is(zone: str, since: str, until: str) -> None:
    sent = {"from": "1", "to": "2", "range": {"from": "x", "to": "y", "raw": {"from": "now-29d/d", "to": "now/d"}}}
    asked = msgspec.json.decode(read(msgspec.json.encode(sent | {"queries": []}), zone))
    assert (asked["range"]["from"], asked["range"]["to"]) == (since, until)
    assert asked["from"] == str(int(datetime.fromisoformat(since).timestamp() * 1000))
    assert asked["to"] == str(int(datetime.fromisoformat(until).timestamp() * 1000))


@pytest.mark.parametrize(
    "raw", [{"from": "now-6h", "to": "now"}, {"from": "2026-11-01T00:00:00Z", "to": "now"}, {"from": 5, "to": None}, 7]
)
def test_what_is_not_rounded_goes_on_as_it_came(raw: object) -> None:
    sent = msgspec.json.encode({"queries": [], "from": "1", "to": "2", "range": {"raw": raw}})
    assert read(sent) == sent
