"""Persons: who was identified, with which traits, and as which visitors. Pure.

Called by the sink with the events that are stored; an `identify` says so.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from app.ingest.event import Event

Rows = list[tuple[Any, ...]]
_encode = msgspec.json.Encoder().encode


def fold_persons(events: Iterable[Event]) -> tuple[Rows, Rows]:
    """Fold events into rows, sorted so that two flushes never wait for each other.

    Shape: persons (user_id, traits, first and last time), and their visitors (visitor_id, user_id, last time).
    """
    persons: dict[str, list[Any]] = {}
    visitors: dict[tuple[str, str], Any] = {}
    for event in sorted((each for each in events if each.traits is not None), key=lambda each: each.occurred_at):
        user_id, at = event.user_id, event.occurred_at
        if user_id is None:
            continue
        traits, first_at, _ = persons.get(user_id, ({}, at, at))
        persons[user_id] = [traits | (event.traits or {}), first_at, at]
        if event.visitor_id is not None:
            visitors[event.visitor_id, user_id] = at
    rows = [(user_id, _encode(traits).decode(), *times) for user_id, (traits, *times) in sorted(persons.items())]
    return rows, [(*pair, at) for pair, at in sorted(visitors.items())]
