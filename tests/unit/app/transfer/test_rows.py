"""Rows of sources become rows of ours, or a reason why not."""

import random
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transfer.errors import RowRefused
from app.transfer.rows import Row, localize, merge_sessions, read_row
from app.transfer.tables import TABLES
from tenants.ids import as_uuid
from tenants.sources import AGENTS, CHAT_LOG, LEADS, SESSIONS

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def read(table: str, **raw: Any) -> dict[str, Any]:
    row = read_row(table, raw, BERLIN)
    return dict(zip((column.name for column in TABLES[table]), row, strict=True))


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("2026-11-01T12:00:00Z", NOON),
        ("2026-11-01T13:00:00+01:00", NOON),
        ("2026-11-01 12:00:00+00", NOON),
        ("2026-11-01T13:00:00", NOON),
        ("2026-11-01 13:00:00.000", NOON),
        ("2026-11-01", datetime(2026, 10, 31, 23, tzinfo=UTC)),
    ],
)
def test_times_are_taken_with_their_offset_or_else_in_the_source_s_zone(given_: str, expected: datetime) -> None:
    assert read(LEADS, id="1", sessionId="s", createdAt=given_)["createdAt"] == expected


@pytest.mark.parametrize(
    ("table", "raw", "reason"),
    [
        (SESSIONS, {"createdAt": "2026-11-01"}, "sessionId is missing"),
        (SESSIONS, {"sessionId": "", "createdAt": "2026-11-01"}, "sessionId is missing"),
        (SESSIONS, {"sessionId": "s"}, "createdAt is missing"),
        (SESSIONS, {"sessionId": "s", "pageLoaded": "31.12.2026"}, "pageLoaded must be a time, or true or false"),
        (SESSIONS, {"sessionId": "s", "pageLoaded": "2026-02-30"}, "pageLoaded must be"),
        (SESSIONS, {"sessionId": "s", "pageLoaded": "infinity"}, "pageLoaded must be"),
        (SESSIONS, {"sessionId": "s", "pageLoaded": 1730000000}, "pageLoaded must be"),
        (SESSIONS, {"sessionId": "s", "pageLoaded": True}, "pageLoaded says no time"),
        (SESSIONS, {"sessionId": "s" * 513, "createdAt": "2026-11-01"}, "longer than 512"),
        (SESSIONS, {"sessionId": "a\0b", "createdAt": "2026-11-01"}, "sessionId must be a text that can be stored"),
        (SESSIONS, {"sessionId": "\ud800", "createdAt": "2026-11-01"}, "sessionId must be a text that can be stored"),
        (SESSIONS, {"sessionId": ["s"], "createdAt": "2026-11-01"}, "sessionId must be a text"),
        (LEADS, {"sessionId": "s"}, "createdAt is missing"),
        (LEADS, {"sessionId": "s", "createdAt": "0001-01-01T00:00:00+14:00"}, "createdAt must be a time"),
        (CHAT_LOG, {"sessionId": "s", "createdAt": "2026-11-01"}, "role is missing"),
        (CHAT_LOG, {"confidence": "high"}, "confidence must be a number"),
        (CHAT_LOG, {"confidence": float("nan")}, "confidence must be a number"),
        (CHAT_LOG, {"confidence": Decimal("1e400")}, "confidence must be a number"),
        (CHAT_LOG, {"tokensIn": "1.5"}, "tokensIn must be a whole number"),
        (CHAT_LOG, {"tokensIn": 2**63}, "tokensIn must be a whole number"),
        (CHAT_LOG, {"cost": "1e14"}, "cost must be an amount"),
        (CHAT_LOG, {"fallback": "perhaps"}, "fallback must be true or false"),
        (AGENTS, {"connectedAt": "2026-11-01"}, "sessionId is missing"),
    ],
)
def test_a_bad_row_is_refused_with_the_reason(table: str, raw: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowRefused, match=reason):
        read_row(table, raw, BERLIN)


def test_a_step_that_is_only_ticked_happened_when_its_session_did() -> None:
    row = read(SESSIONS, sessionId="s", pageLoaded=True, widgetOpened="false", createdAt="2026-11-01T12:00:00Z")

    assert (row["pageLoaded"], row["widgetOpened"]) == (NOON, None)


def test_a_session_s_missing_times_come_from_its_steps() -> None:
    row = read(SESSIONS, sessionId=7, pageLoaded="2026-11-01T12:00:00Z", pressedAccept="2026-11-01T12:05:00Z")

    assert (row["sessionId"], row["createdAt"], row["updatedAt"]) == ("7", NOON, NOON.replace(minute=5))


def test_values_are_read_from_texts_and_from_json_alike() -> None:
    texts = read(
        CHAT_LOG, id="x", sessionId="s", role="user", createdAt="2026-11-01", confidence="0.5", fallback="t",
        tokensIn="12", cost="0.001234", latencyMs="1e3",
    )  # fmt: skip
    native = read(
        CHAT_LOG, id="x", sessionId="s", role="user", createdAt="2026-11-01", confidence=Decimal("0.5"), fallback=True,
        tokensIn=12, cost=Decimal("0.001234"), latencyMs=1000,
    )  # fmt: skip

    assert texts == native
    assert (texts["tokensIn"], texts["cost"], texts["latencyMs"]) == (12, Decimal("0.001234"), 1000.0)


def test_a_uuid_stays_and_any_other_id_becomes_its_uuid5() -> None:
    known = "0192f0c1-2345-7abc-8def-0123456789ab"

    assert as_uuid(known) == uuid.UUID(known)
    assert as_uuid("42") == uuid.uuid5(uuid.NAMESPACE_OID, "42")
    assert read(LEADS, id=42, sessionId="s", createdAt="2026-11-01")["id"] == as_uuid("42")


def test_a_row_without_id_has_the_same_one_each_time_and_another_row_another() -> None:
    first = read(LEADS, sessionId="s", email="a@example.com", createdAt="2026-11-01")["id"]
    again = read(LEADS, createdAt="2026-11-01", email="a@example.com", sessionId="s")["id"]
    other = read(LEADS, sessionId="s", email="b@example.com", createdAt="2026-11-01")["id"]

    assert first == again != other


def test_an_hour_that_comes_twice_or_never_is_the_later_reading() -> None:
    twice, never = datetime(2026, 10, 25, 2, 30), datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001 - wall clocks

    assert localize(twice, BERLIN) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert localize(never, BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


times = st.none() | st.datetimes(timezones=st.just(UTC))
sessions = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        *[times] * 6,
        st.datetimes(timezones=st.just(UTC)),
        st.datetimes(timezones=st.just(UTC)),
    ),
    min_size=1,
)


@given(sessions, st.randoms(use_true_random=False))
def test_sessions_merge_to_the_same_in_any_order_and_any_number(rows: list[Row], rng: random.Random) -> None:
    shuffled = rows * 2
    rng.shuffle(shuffled)

    merged = merge_sessions(shuffled)

    assert merged == merge_sessions(rows)
    assert [row[0] for row in merged] == sorted({row[0] for row in rows})
    for row in merged:
        mine = [each for each in rows if each[0] == row[0]]
        assert row[1] == min((each[1] for each in mine if each[1] is not None), default=None)
        assert row[8] == max(each[8] for each in mine)
