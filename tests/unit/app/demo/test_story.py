"""The demo's story: the same every time, a month long, with the rhythm of days and weeks."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from asyncpg.pgproto.pgproto import UUID

from app.demo.clients import BIRCH, CEDAR, CLIENTS, MAPLE, DemoClient
from app.demo.story import BATCH_EVENTS, DAYS, Story, count_steps, tell_day, tell_month
from app.demo.visit import Event
from app.ingest.event import Arrival
from app.ingest.routes import read_submission

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
MONDAY = date(2026, 11, 2)
each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)


@cache
def month(client_id: str) -> Story:
    return tell_month(next(client for client in CLIENTS if client.id == client_id), NOW)


def told(story: Story) -> list[Event]:
    return [event for batch in story.batches for event in msgspec.json.decode(batch.body)]


def starts(client: DemoClient, days: int) -> list[datetime]:
    events = [event for ago in range(days) for event in tell_day(client, MONDAY + timedelta(days=ago))]
    first = [event for event in events if event["event_id"].endswith("-1")]
    return [datetime.fromisoformat(event["occurred_at"]).astimezone(client.zone) for event in first]


@each_client
def test_a_day_is_told_the_same_way_every_time(client: DemoClient) -> None:
    assert tell_day(client, MONDAY) == tell_day(client, MONDAY)


@each_client
def test_no_two_days_are_alike(client: DemoClient) -> None:
    assert len(tell_day(client, MONDAY)) != len(tell_day(client, MONDAY + timedelta(days=7)))


@each_client
def test_tomorrow_the_same_month_is_told_on(client: DemoClient) -> None:
    today = {event["event_id"]: event for event in told(month(client.id))}
    tomorrow = {event["event_id"]: event for event in told(tell_month(client, NOW + timedelta(days=1)))}

    shared = today.keys() & tomorrow.keys()

    assert len(shared) > 0.9 * len(today)
    assert all(today[event_id] == tomorrow[event_id] for event_id in shared)


@each_client
def test_every_day_of_the_month_has_events_and_none_is_in_the_future(client: DemoClient) -> None:
    story = month(client.id)
    times = [datetime.fromisoformat(event["occurred_at"]) for event in told(story)]
    days = {at.astimezone(client.zone).date() for at in times}
    today = NOW.astimezone(client.zone).date()

    assert story.since <= min(times)
    assert max(times) <= NOW
    assert days == {today - timedelta(days=ago) for ago in range(DAYS + 1)}


@each_client
def test_ids_never_repeat(client: DemoClient) -> None:
    ids = [event["event_id"] for event in told(month(client.id))]

    assert len(ids) == len(set(ids))


@each_client
def test_batches_hold_all_events_and_fit_into_requests(client: DemoClient) -> None:
    story = month(client.id)

    assert sum(batch.events for batch in story.batches) == story.events == len(told(story))
    assert all(batch.events == BATCH_EVENTS for batch in story.batches[:-1])


@each_client
def test_the_server_takes_every_event(client: DemoClient) -> None:
    arrival = Arrival(
        key_id=UUID("00000000-0000-0000-0000-000000000001"),
        received_at=NOW,
        oldest=NOW - timedelta(days=730),
        accepts_chat=True,
    )

    for batch in tell_month(client, NOW, scale=0.1).batches:
        submission = read_submission(batch.body, arrival)
        assert submission.refused == []
        assert len(submission.events) == batch.events


@each_client
def test_time_only_moves_forward_within_a_visit(client: DemoClient) -> None:
    for earlier, later in pairwise(tell_day(client, MONDAY)):
        if earlier["session_id"] == later["session_id"]:
            assert earlier["occurred_at"] <= later["occurred_at"]


def test_the_chatbot_is_busy_in_office_hours_of_its_own_zone() -> None:
    hours = Counter(at.hour for at in starts(MAPLE, 14))

    assert sum(hours[hour] for hour in range(8, 18)) > 4 * sum(hours[hour] for hour in (22, 23, 0, 1, 2, 3, 4, 5))


def test_the_shop_is_busiest_in_the_evening_of_its_own_zone() -> None:
    hours = Counter(at.hour for at in starts(CEDAR, 14))

    assert max(hours, key=lambda hour: hours[hour]) in {19, 20, 21}


def test_offices_rest_at_the_weekend_when_people_shop() -> None:
    office = Counter(at.weekday() for at in starts(MAPLE, 14))
    shop = Counter(at.weekday() for at in starts(CEDAR, 14))

    assert office[6] < 0.5 * office[1]
    assert shop[6] > 1.2 * shop[1]


def test_days_on_which_clocks_change_are_days_like_others() -> None:
    changed = tell_day(CEDAR, date(2026, 11, 1))
    first = [event for event in changed if event["event_id"].endswith("-1")]

    assert {
        datetime.fromisoformat(event["occurred_at"]).astimezone(ZoneInfo("America/New_York")).date() for event in first
    } == {date(2026, 11, 1)}


def test_the_funnel_narrows_as_funnels_do() -> None:
    funnel = month(MAPLE.id).funnel

    assert 0.28 < funnel["widgetOpens"] / funnel["pageLoads"] < 0.4
    assert 0.3 < funnel["humanRequests"] / funnel["widgetOpens"] < 0.55
    assert funnel["accepts"] > funnel["callbacks"] > funnel["continues"] > 0
    assert funnel["accepts"] + funnel["callbacks"] + funnel["continues"] < funnel["humanRequests"]


def test_the_funnel_counts_sessions_and_not_events() -> None:
    twice = [{"name": "page_loaded", "session_id": "s1"}] * 2

    assert count_steps(twice)["pageLoads"] == 1


def test_the_chatbot_tells_all_of_its_events() -> None:
    names = {event["name"] for event in told(month(MAPLE.id))}

    assert names == {
        "page_loaded", "widget_opened", "requested_human", "pressed_accept", "pressed_callback", "pressed_continue",
        "lead_captured", "chat_message", "agent_connected", "agent_disconnected", "csat",
    }  # fmt: skip


def test_some_of_the_shop_s_visitors_buy() -> None:
    events = told(month(CEDAR.id))
    sessions = {event["session_id"] for event in events}
    orders = [event for event in events if event["name"] == "purchase"]

    assert 0.04 < len(orders) / len(sessions) < 0.2
    assert all(order["amount"] > 0 and order["currency"] == "USD" for order in orders)


def test_the_portfolio_s_visitors_look_at_projects_and_follow_links() -> None:
    names = Counter(event["name"] for event in told(month(BIRCH.id)))

    assert names["page_view"] > names["project_click"] > names["external_link_click"] > names["form_submit"] > 0


def test_less_is_told_on_request_but_of_every_day() -> None:
    story = tell_month(MAPLE, NOW, scale=0.1)

    assert story.events < 0.2 * month(MAPLE.id).events
    assert len({event["occurred_at"][:10] for event in told(story)}) >= DAYS
