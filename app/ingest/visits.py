"""Give events the visitor and the session that their senders did not give.

Called by the sink within the transaction of a flush: one question per flush, however many events it has, and what one
process stored the next one sees. The sessions are found by pure functions.
"""

from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b, sha256
from hmac import digest
from zoneinfo import ZoneInfo

import msgspec

from app.ingest.enrichment.campaigns import campaign_of
from app.ingest.event import Event
from app.ingest.flush import Flush
from app.ingest.statements import statement
from tenants.databases import TenantConnection

IDLE = timedelta(minutes=30)
MADE = "~"
_ID_BYTES = 15
_QUARTER_S = 15 * 60


class OpenVisit(msgspec.Struct, kw_only=True):
    """A session as far as it is known: `campaign` is that of its first event."""

    id: str
    started_at: datetime
    ended_at: datetime
    campaign: str


async def place_visits(db: TenantConnection, flush: Flush, salt: bytes | None) -> None:
    """Give a flush's events visitors and sessions, where they have none."""
    events = [event for event in flush.events() if event.visit is not None]
    if not events:
        return
    ids: dict[bytes, str] = {}
    for event in events:
        subject = None if event.visit is None else event.visit.subject
        if subject is not None and salt is not None:
            visitor_id = ids.get(subject) or ids.setdefault(subject, make_visitor_id(salt, subject))
            event.place(event.session_id, visitor_id)
    roaming = [event for event in events if event.visit is not None and event.visit.zone is not None]
    if roaming:
        place_sessions(roaming, await _open_visits(db, roaming))


async def _open_visits(db: TenantConnection, events: list[Event]) -> dict[str, list[OpenVisit]]:
    times = [event.occurred_at for event in events]
    visitors = sorted({event.visitor_id for event in events if event.visitor_id is not None})
    found: dict[str, list[OpenVisit]] = defaultdict(list)
    asked = statement(db.placement, "open_visits")
    for row in await db.fetch(asked, visitors, min(times) - IDLE, max(times) + IDLE):
        known = OpenVisit(
            id=row["session_id"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            campaign=campaign_of(row["utm_source"], row["utm_medium"], row["utm_campaign"]),
        )
        found[row["visitor_id"]].append(known)
    return found


def make_visitor_id(salt: bytes, subject: bytes) -> str:
    """Make the id of the day for what tells a visitor from others."""
    return MADE + _short(digest(salt, subject, sha256))


def place_sessions(events: Iterable[Event], known: dict[str, list[OpenVisit]]) -> None:
    """Put each event into the session of its visitor that it belongs to, or into a new one.

    Shape: a session ends after IDLE without an event, at midnight in the client's zone, and where another campaign
    begins. Of one visitor's events the order of arrival makes no difference within a flush.
    """
    for event in sorted(events, key=lambda event: (event.occurred_at, event.id.bytes)):
        visitor_id = event.visitor_id
        if visitor_id is None:
            continue
        visits = known.setdefault(visitor_id, [])
        visit = _find(event, visits)
        if visit is None:
            visit = _begin(event, visitor_id)
            visits.append(visit)
        visit.started_at = min(visit.started_at, event.occurred_at)
        visit.ended_at = max(visit.ended_at, event.occurred_at)
        event.place(visit.id, visitor_id)


def _find(event: Event, visits: list[OpenVisit]) -> OpenVisit | None:
    asked, at = event.visit, event.occurred_at
    if asked is None or asked.zone is None:
        return None
    day = _day(at, asked.zone)
    fitting = [
        visit
        for visit in visits
        if visit.started_at - IDLE <= at <= visit.ended_at + IDLE
        and asked.campaign in {"", visit.campaign}
        and _day(visit.started_at, asked.zone) == day
    ]
    return max(fitting, key=lambda visit: (visit.ended_at, visit.id), default=None)


def _day(at: datetime, zone: ZoneInfo) -> date:
    """Tell the day of a time in a zone; of a time's quarter of an hour, for no zone has its midnight within one."""
    return _day_of_quarter(int(at.timestamp()) // _QUARTER_S, zone)


@lru_cache(maxsize=4096)
def _day_of_quarter(quarter: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(quarter * _QUARTER_S, zone).date()


def _begin(event: Event, visitor_id: str) -> OpenVisit:
    """Begin a session under an id that two processes choose alike if they see its beginning at once."""
    at, campaign = event.occurred_at, "" if event.visit is None else event.visit.campaign
    window = int(at.timestamp()) // int(IDLE.total_seconds())
    name = blake2b(f"{visitor_id}\0{window}\0{campaign}".encode(), digest_size=_ID_BYTES).digest()
    return OpenVisit(id=MADE + _short(name), started_at=at, ended_at=at, campaign=campaign)


def _short(value: bytes) -> str:
    return urlsafe_b64encode(value[:_ID_BYTES]).decode()
