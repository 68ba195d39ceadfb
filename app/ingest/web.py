"""Web events: one row per session, the same whatever order they come in. Pure.

What describes the visit is taken from its entry event: the earliest, and of equals the one with the lowest id. A page
of the site itself is no referrer of a visit.
"""

from collections.abc import Iterable
from typing import Any

from app.ingest.enrichment.channels import is_own
from app.ingest.event import EVENT_COLUMNS, Event

PAGE_VIEW = "page_view"
# Where a visit came from that began on a page to which the site itself led: it went on after a break.
INTERNAL = "internal"
_CHANNEL = EVENT_COLUMNS.index("channel")
SESSION_COLUMNS = (
    "session_id", "visitor_id", "user_id", "started_at", "ended_at", "events", "page_views",
    "entry_event", "entry_page", "exit_event", "exit_page", "referrer", "utm_source", "utm_medium", "utm_campaign",
    "device", "browser", "os", "country", "channel",
)  # fmt: skip


def fold_web(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Fold web events into session rows (SESSION_COLUMNS), sorted by session; chat events are passed over."""
    by_session: dict[str, list[Event]] = {}
    for event in events:
        session_id = event.session_id
        if event.chat is None and session_id is not None:
            by_session.setdefault(session_id, []).append(event)
    return [_session_row(session_id, by_session[session_id]) for session_id in sorted(by_session)]


def _order(event: Event) -> tuple[Any, bytes]:
    return event.occurred_at, event.id.bytes


def _session_row(session_id: str, events: list[Event]) -> tuple[Any, ...]:
    entry, last = (events[0], events[0]) if len(events) == 1 else (min(events, key=_order), max(events, key=_order))
    users = [user_id for event in events if (user_id := event.user_id) is not None]
    (_, _, _, _, _, _, visitor_id, _, url, entry_page, _, referrer, source, medium, campaign,
     device, browser, os, country, *_) = entry.record  # fmt: skip
    return (
        session_id,
        visitor_id,
        max(users) if users else None,
        entry.occurred_at,
        last.occurred_at,
        len(events),
        sum(event.wire.name == PAGE_VIEW for event in events),
        entry.id,
        entry_page,
        last.id,
        last.record[9],
        None if is_own(url, referrer) else referrer,
        source,
        medium,
        campaign,
        device,
        browser,
        os,
        country,
        entry.record[_CHANNEL] or (None if referrer is None else INTERNAL),
    )
