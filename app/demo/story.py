"""A month of a client's events, with the rhythm of its days and weeks. Pure and seeded.

A day is always told the same way, whenever it is told: a second start sends the same ids again, and what
happened since. Called by `run`, sent by `delivery`.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

import msgspec

from app.demo.chatbot import tell_chat
from app.demo.clients import BIRCH, CEDAR, MAPLE, DemoClient
from app.demo.portfolio import tell_portfolio
from app.demo.shop import tell_shopping
from app.demo.visit import Event, Visit, seeded

# A little less than the days for which ids are remembered, so that no day is ever stored twice.
DAYS = 29
BATCH_EVENTS = 500
SEED = "grove"
_SEASON_DAYS = 91
_LINES: dict[str, Callable[[Visit], None]] = {MAPLE.id: tell_chat, BIRCH.id: tell_portfolio, CEDAR.id: tell_shopping}

# The steps of the chatbot's funnel under the names of its answer.
FUNNEL = {
    "page_loaded": "pageLoads",
    "widget_opened": "widgetOpens",
    "requested_human": "humanRequests",
    "pressed_accept": "accepts",
    "pressed_callback": "callbacks",
    "pressed_continue": "continues",
}


class Batch(msgspec.Struct, frozen=True):
    """The body of one request, and how many events it holds."""

    events: int
    body: bytes


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All that is to be sent for a client. `funnel` is what the chatbot's funnel must answer then."""

    client: DemoClient
    since: datetime
    until: datetime
    events: int
    batches: list[Batch]
    funnel: dict[str, int]


def tell_month(client: DemoClient, now: datetime, *, scale: float = 1.0) -> Story:
    """Tell the last weeks of a client up to now.

    Shape: whole days of the client's zone, today's up to `now`; batches in order of time, more or less.
    """
    today = now.astimezone(client.zone).date()
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS + 1))]
    events = [event for day in days for event in tell_day(client, day, scale=scale)]
    latest = now.astimezone(UTC).isoformat(timespec="milliseconds")
    events = [event for event in events if event["occurred_at"] < latest]
    return Story(
        client=client,
        since=datetime.combine(days[0], time(), client.zone).astimezone(UTC),
        until=now,
        events=len(events),
        batches=list(_batches(events)),
        funnel=count_steps(events),
    )


def tell_day(client: DemoClient, day: date, *, scale: float = 1.0) -> list[Event]:
    """Tell all visits that begin on a day of the client's zone."""
    rng = seeded(SEED, client.id, day)
    events = []
    for number, start in enumerate(_starts(client, day, scale, rng)):
        session_id = f"{client.id}-{day:%Y%m%d}-{number:04}"
        visit = Visit(client, session_id, start, seeded(SEED, session_id))
        _LINES[client.id](visit)
        events += visit.events
    return events


def count_steps(events: Iterable[Event]) -> dict[str, int]:
    """Count the sessions that reached each step of the chatbot's funnel."""
    reached: dict[str, set[str]] = {name: set() for name in FUNNEL}
    for event in events:
        if event["name"] in reached:
            reached[event["name"]].add(event["session_id"])
    return {FUNNEL[name]: len(sessions) for name, sessions in reached.items()}


def _starts(client: DemoClient, day: date, scale: float, rng: random.Random) -> list[datetime]:
    """Draw when the visits of a day begin: many by day, few at night, by weekday and season."""
    season = 1 + 0.12 * math.sin(2 * math.pi * day.toordinal() / _SEASON_DAYS)
    expected = client.visits_per_day * client.week[day.weekday()] * season * rng.uniform(0.88, 1.12)
    hours = rng.choices(range(24), client.hours, k=max(1, round(expected * scale)))
    starts = [
        datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60)), client.zone).astimezone(UTC)
        for hour in hours
    ]
    return sorted(starts)


def _batches(events: list[Event]) -> Iterator[Batch]:
    rest = iter(events)
    while some := list(islice(rest, BATCH_EVENTS)):
        yield Batch(len(some), msgspec.json.encode(some))
