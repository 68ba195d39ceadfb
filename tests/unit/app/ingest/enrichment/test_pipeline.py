"""The steps together: what they make of an event, in which order, and what is counted."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncpg.pgproto.pgproto import UUID

from app.ingest.enrichment.pipeline import STEPS, VISITOR_STEPS
from app.ingest.enrichment.sender import Sender
from app.ingest.event import EVENT_COLUMNS, Arrival, Event
from app.ingest.outcomes import Filtered
from app.ingest.persons import fold_persons
from app.ingest.steps import read_event
from tenants.visitors import Bots, Privacy, VisitorRules

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


class Nowhere:
    """Countries of which there is one."""

    def find(self, address: str) -> str | None:
        """Know the documentation's network."""
        return "FR" if address.startswith("203.0.113.") else None


def arrival(**sender: Any) -> Arrival:
    return Arrival(
        key_id=UUID("00000000-0000-4000-8000-000000000001"),
        received_at=NOW,
        oldest=NOW - timedelta(days=9),
        accepts_chat=True,
        sender=Sender(**sender),
    )


def browser(**changes: Any) -> Arrival:
    return arrival(
        **({"is_browser": True, "agent": "curl/8", "address": "203.0.113.7", "countries": Nowhere()} | changes)
    )


def read(came: Arrival, **fields: Any) -> Event:
    return read_event(json.dumps({"name": "page_view"} | fields).encode(), 0, came)


def column(event: Event, name: str) -> Any:
    return event.record[EVENT_COLUMNS.index(name)]


def test_each_change_is_counted_by_step_and_reason() -> None:
    came = browser(rules=VisitorRules(bots=Bots.FLAG, privacy=Privacy.STRICT), agent=CRAWLER)
    read(came, visitor_id="v", properties={"from": "ana@shop.example"})
    read(came, properties={"a": 1})
    read(came, page="https://shop.example/?utm_source=mail")
    assert came.changes == Counter(
        {("bots", "flagged"): 3, ("country", "filled"): 3, ("privacy", "strict"): 1,
         ("redaction", "redacted"): 1, ("campaign", "filled"): 1, ("channel", "filled"): 1}
    )  # fmt: skip


def test_a_server_that_speaks_for_nobody_takes_the_short_way() -> None:
    assert [name for name, _ in VISITOR_STEPS][-len(STEPS) :] == [name for name, _ in STEPS]
    came = arrival()
    read(came, page="https://shop.example/")
    assert came.changes == Counter({("channel", "filled"): 1})


def test_a_bot_is_filtered_before_anything_is_made_of_its_event() -> None:
    came = browser(agent=CRAWLER)
    with pytest.raises(Filtered, match="bot"):
        read(came, properties={"from": "ana@shop.example"})
    assert came.changes == Counter()


def test_the_campaign_is_read_out_of_what_was_redacted() -> None:
    event = read(arrival(), page="https://shop.example/u/ana@shop.example?utm_source=ben@shop.example&utm_medium=email")
    assert column(event, "page_path") == "/u/REDACTED"
    assert (column(event, "utm_source"), column(event, "channel")) == ("REDACTED", "email")


@pytest.mark.parametrize(
    ("sender", "fields", "wanted"),
    [
        ({}, {}, (True, True)),
        ({}, {"session_id": "s"}, (True, False)),
        ({}, {"visitor_id": "v"}, (False, True)),
        ({}, {"name": "widget_opened", "session_id": "s"}, (True, False)),
        ({"address": None}, {"visitor_id": "v"}, (False, True)),
    ],
)
def test_what_is_missing_of_a_visit_is_to_be_found_out(
    sender: dict[str, Any], fields: dict[str, Any], wanted: tuple[bool, bool]
) -> None:
    visit = read(browser(**sender), **fields).visit
    assert visit is not None
    assert (visit.subject is not None, visit.needs_session) == wanted


@pytest.mark.parametrize(
    "fields", [{"session_id": "s", "visitor_id": "v"}, {"name": "identify", "session_id": "s", "visitor_id": "v"}]
)
def test_of_a_whole_visit_nothing_is_to_be_found_out(fields: dict[str, Any]) -> None:
    assert read(browser(), **fields).visit is None


@pytest.mark.parametrize("came", [arrival(), browser(address=None)])
def test_of_nobody_nothing_can_be_found_out(came: Arrival) -> None:
    assert read(came).visit is None


def test_balanced_privacy_hashes_what_a_browser_calls_its_visitor_and_not_what_a_server_does() -> None:
    rules = VisitorRules(privacy=Privacy.BALANCED)
    came = browser(rules=rules)
    visit = read(came, visitor_id="v", session_id="s").visit
    assert visit is not None
    assert visit.subject == b"visitor\0v"
    assert came.changes["privacy", "balanced"] == 1
    assert read(arrival(rules=rules), visitor_id="v", session_id="s").visit is None


def test_traits_are_kept_by_name_and_only_simple_ones() -> None:
    rules = VisitorRules(traits=("plan", "tags", "age", "bio", "gone"))
    traits = {"plan": "pro", "tags": ["a"], "age": 7, "bio": "x" * 999, "email": "ana@shop.example", "gone": None}
    event = read(arrival(rules=rules), name="identify", user_id="u", properties=traits)
    assert event.traits == {"plan": "pro", "age": 7, "bio": "x" * 256}
    assert column(event, "properties") == "{}"


def test_who_is_identified_without_a_name_is_nobody() -> None:
    event = read(arrival(rules=VisitorRules(traits=("plan",))), name="identify", properties={"plan": "pro"})
    assert (event.traits, column(event, "properties"), fold_persons([event])) == (None, "{}", ([], []))


def test_persons_fold_to_one_row_each_with_the_latest_traits() -> None:
    came = arrival(rules=VisitorRules(traits=("a", "b")))
    events = [
        read(came, name="identify", user_id="u", visitor_id=f"v{at}", properties=traits,
             occurred_at=(NOW + timedelta(minutes=at)).isoformat())
        for at, traits in ((5, {"a": 2}), (1, {"a": 1, "b": 1}))
    ]  # fmt: skip
    persons, visitors = fold_persons(events)
    early, late = NOW + timedelta(minutes=1), NOW + timedelta(minutes=5)
    assert [(user, json.loads(traits), *times) for user, traits, *times in persons] == [
        ("u", {"a": 2, "b": 1}, early, late)
    ]
    assert visitors == [("v1", "u", early), ("v5", "u", late)]
