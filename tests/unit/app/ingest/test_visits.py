"""Sessions that nobody gave: which events belong together."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from asyncpg.pgproto.pgproto import UUID
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.days import find_day
from app.ingest.enrichment.sender import Sender
from app.ingest.event import Arrival, Event
from app.ingest.steps import read_event
from app.ingest.visits import IDLE, OpenVisit, make_visitor_id, name_visitors, place_sessions

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
SENDER = Sender(is_browser=True, zone=PARIS, agent="x", address="203.0.113.7")
KEY = UUID("00000000-0000-4000-8000-000000000001")
ARRIVAL = Arrival(
    key_id=KEY, received_at=NOON, oldest=NOON - timedelta(days=9), accepts_chat=True, sender=SENDER,
    latest=NOON + timedelta(days=9),
)  # fmt: skip


def event(minute: float, visitor: str = "v", source: str = "") -> Event:
    url = "https://maple.example/" + (f"?utm_source={source}" if source else "")
    at = (NOON + timedelta(minutes=minute)).isoformat()
    sent = {"name": "page_view", "visitor_id": visitor, "occurred_at": at, "page": url}
    return read_event(json.dumps(sent).encode(), 0, ARRIVAL)


def placed(events: list[Event], known: dict[str, list[OpenVisit]] | None = None) -> list[str | None]:
    place_sessions(name_visitors(events, None), {} if known is None else known)
    return [each.session_id for each in events]


def kept(minutes: int) -> OpenVisit:
    """A session that began at noon and lasts so long."""
    ended_at = NOON + timedelta(minutes=minutes)
    return OpenVisit(id="~kept", started_at=NOON, ended_at=ended_at, campaign="", day=find_day(NOON, PARIS))


def test_events_less_than_half_an_hour_apart_are_one_session() -> None:
    first, second, third = placed([event(0), event(30), event(60.1)])
    assert first == second != third


def test_visitors_never_share_a_session() -> None:
    first, second = placed([event(0, "a"), event(0, "b")])
    assert first != second


def test_an_event_joins_the_session_that_is_stored() -> None:
    known = kept(0)
    assert placed([event(29)], {"v": [known]}) == ["~kept"]
    assert placed([event(70)], {"v": [known]}) != ["~kept"]


def test_an_event_that_comes_late_joins_the_session_it_was_part_of() -> None:
    known = kept(40)
    assert placed([event(20), event(-5)], {"v": [known]}) == ["~kept", "~kept"]
    assert known.started_at == NOON - timedelta(minutes=5)


def test_what_began_with_a_campaign_goes_on_without_it() -> None:
    ads, on, other = placed([event(0, source="ads"), event(1), event(2, source="news")])
    assert ads == on != other


def test_two_processes_that_see_a_session_begin_choose_one_id() -> None:
    assert placed([event(1)]) == placed([event(2)])


@given(
    sent=st.lists(
        st.tuples(st.integers(-3000, 3000), st.sampled_from("ab"), st.sampled_from(["", "x", "y"])),
        unique_by=lambda each: each[0],
    ),
    shuffled=st.randoms(use_true_random=False),
)
def test_sessions_are_the_same_in_any_order_and_keep_every_rule(
    sent: list[tuple[int, str, str]], shuffled: Random
) -> None:
    events = [event(*each) for each in sent]
    again = shuffled.sample(events, len(events))
    found = dict(zip(map(id, events), placed(events), strict=True))
    assert [found[id(each)] for each in again] == placed(again)
    for session in set(found.values()):
        ours = sorted((each for each in events if each.session_id == session), key=lambda each: each.occurred_at)
        assert len({each.visitor_id for each in ours}) == 1
        assert len({each.occurred_at.astimezone(PARIS).date() for each in ours}) == 1
        assert len({each.visit.campaign for each in ours if each.visit is not None} - {""}) <= 1
        assert all(later.occurred_at - earlier.occurred_at <= IDLE for earlier, later in pairwise(ours))


def test_a_visitors_id_needs_the_salt_and_tells_nothing() -> None:
    subject = b"address\x00203.0.113.7"
    assert make_visitor_id(b"a" * 32, subject) == make_visitor_id(b"a" * 32, subject)
    assert make_visitor_id(b"a" * 32, subject) != make_visitor_id(b"b" * 32, subject)
    assert "203" not in make_visitor_id(b"a" * 32, subject)
