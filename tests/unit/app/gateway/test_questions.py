"""What of a question to `/api/ds/query` is let through."""

from typing import Any

import msgspec
import pytest

from app.gateway.questions import MAX_FILLED, check_questions
from tenants.errors import InputRefused

OWN = frozenset({"analytics", "source"})
DAY_MS = 86_400_000
SOURCE = {"type": "postgres", "uid": "analytics"}


def body(sql: str = "SELECT 1", *, days: int = 30, **changes: Any) -> bytes:
    query = {"refId": "A", "datasource": SOURCE, "rawSql": sql, "format": "table", "intervalMs": 60_000} | changes
    return msgspec.json.encode({"queries": [query], "from": "0", "to": str(days * DAY_MS)})


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
    check_questions(asked, OWN)


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
        check_questions(asked, OWN)
    assert refusal.value.field == pointer


@pytest.mark.parametrize("asked", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(asked: bytes) -> None:
    with pytest.raises(InputRefused):
        check_questions(asked, OWN)


def test_a_filling_is_bounded_by_the_points_that_it_makes() -> None:
    asked = {"queries": [{"datasource": SOURCE, "rawSql": "SELECT $__timeGroup(t, '1s', 0)"}], "from": "0"}
    check_questions(msgspec.json.encode(asked | {"to": str(MAX_FILLED * 1000)}), OWN)
    for too_much in (str(MAX_FILLED * 1000 + 1), "now", None):
        with pytest.raises(InputRefused):
            check_questions(msgspec.json.encode(asked | {"to": too_much}), OWN)
