"""Folding events into session rows does not depend on their order."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncpg.pgproto.pgproto import UUID
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.chat import STEPS, fold_chat
from app.ingest.event import Arrival, Event
from app.ingest.steps import read_event
from app.ingest.web import SESSION_COLUMNS, fold_web

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARRIVAL = Arrival(key_id=UUID(bytes(16)), received_at=NOW, oldest=NOW - timedelta(days=730), accepts_chat=True)


def read(**fields: Any) -> Event:
    return read_event(json.dumps(fields).encode(), 0, ARRIVAL)


moments = st.integers(0, 5).map(lambda minutes: (NOW - timedelta(minutes=minutes)).isoformat())
chat_events = st.builds(
    lambda name, session, at: read(name=name, session_id=session, occurred_at=at),
    st.sampled_from(STEPS),
    st.sampled_from(["a", "b"]),
    moments,
)
web_events = st.builds(
    lambda number, session, at, page, user: read(
        name="page_view", event_id=f"e{number}", session_id=session, occurred_at=at, page=page, user_id=user
    ),
    st.integers(0, 10**6),
    st.sampled_from(["a", "b"]),
    moments,
    st.sampled_from(["https://x.test/one", "https://x.test/two"]),
    st.none() | st.sampled_from(["u", "w"]),
)


@given(st.lists(chat_events, max_size=12), st.randoms())
def test_chat_rows_are_the_same_in_any_order(events: list[Event], shuffler: random.Random) -> None:
    shuffled = shuffler.sample(events, len(events))
    assert fold_chat(events) == fold_chat(shuffled)


@given(st.lists(web_events, max_size=12, unique_by=lambda event: event.id), st.randoms())
def test_web_sessions_are_the_same_in_any_order(events: list[Event], shuffler: random.Random) -> None:
    assert fold_web(events) == fold_web(shuffler.sample(events, len(events)))


def test_the_earliest_time_of_each_step_wins() -> None:
    times = [NOW - timedelta(minutes=minutes) for minutes in (3, 9, 1)]
    rows = fold_chat(read(name="page_loaded", session_id="s", occurred_at=at.isoformat()) for at in times)
    assert rows.sessions == [("s", times[1], None, None, None, None, None, times[1], times[2])]


@pytest.mark.parametrize(
    ("url", "referrer", "wanted"),
    [
        ("https://x.test/?utm_source=menu", "https://www.X.test:8443/", (None, "campaign")),
        ("https://www.x.test/?gclid=1", "https://x.test/before", (None, "paid search")),
        ("https://x.test/", "https://x.test/before", (None, "internal")),
        ("https://x.test/?gclid=1", "https://y.test/", ("https://y.test/", "paid search")),
        ("https://x.test/", "https://shop.x.test/", ("https://shop.x.test/", "referral")),
        (None, "https://x.test/", ("https://x.test/", "referral")),
    ],
)
def test_a_session_keeps_no_referrer_on_its_own_site(
    url: str | None, referrer: str, wanted: tuple[str | None, str]
) -> None:
    (row,) = fold_web([read(name="page_view", session_id="s", page={"url": url, "referrer": referrer})])
    said = dict(zip(SESSION_COLUMNS, row, strict=True))
    assert (said["referrer"], said["channel"]) == wanted


def test_a_web_session_is_described_by_its_entry() -> None:
    early, late = NOW - timedelta(minutes=9), NOW
    rows = fold_web(
        [
            read(name="click", session_id="s", occurred_at=late.isoformat(), page="https://x.test/b", user_id="u"),
            read(
                name="page_view",
                session_id="s",
                visitor_id="v",
                occurred_at=early.isoformat(),
                page={"url": "https://x.test/a?utm_source=news", "referrer": "https://search.test/"},
                context={"device": "mobile", "browser": "Firefox", "os": "Android", "country": "DE"},
            ),
        ]
    )
    said = dict(zip(SESSION_COLUMNS, rows[0], strict=True))
    assert said | {"entry_event": None, "exit_event": None} == {
        "session_id": "s",
        "visitor_id": "v",
        "user_id": "u",
        "started_at": early,
        "ended_at": late,
        "events": 2,
        "page_views": 1,
        "entry_event": None,
        "entry_page": "/a",
        "exit_event": None,
        "exit_page": "/b",
        "referrer": "https://search.test/",
        "utm_source": "news",
        "utm_medium": None,
        "utm_campaign": None,
        "device": "mobile",
        "browser": "Firefox",
        "os": "Android",
        "country": "DE",
        "channel": "campaign",
    }
