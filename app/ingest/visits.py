"""Give events the visitor and the session that their senders did not give.

Called by the sink within the transaction of a flush: one question per flush, however many events it has, and what one
process stored the next one sees. The sessions are found by pure functions.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from hmac import digest

import msgspec
from asyncpg.pgproto.pgproto import UUID

from app.ingest.days import Day, find_day
from app.ingest.enrichment.campaigns import campaign_of
from app.ingest.event import Event, Visit
from app.ingest.statements import statement
from tenants.databases import TenantConnection

IDLE = timedelta(minutes=30)
MADE = "~"
_ID_BYTES = 15
# Events that need a session, by their visitors, with what is to be found out of their visits.
Roaming = dict[str, list[tuple[Event, Visit]]]


class OpenVisit(msgspec.Struct, kw_only=True):
    """A session as far as it is known: `campaign` is that of its first event, `day` the one that it does not leave."""

    id: str
    started_at: datetime
    ended_at: datetime
    campaign: str
    day: Day

    def takes(self, at: datetime, campaign: str) -> bool:
        """Tell whether an event belongs to it."""
        return (
            self.started_at - IDLE <= at <= self.ended_at + IDLE
            and campaign in {"", self.campaign}
            and self.day.begins_at <= at < self.day.ends_at
        )

    def widen(self, at: datetime) -> None:
        """Have it last from, or until, an event."""
        if at > self.ended_at:
            self.ended_at = at
        elif at < self.started_at:
            self.started_at = at


async def place_visits(db: TenantConnection, events: Iterable[Event], salt: bytes | None) -> None:
    """Give a flush's events visitors and sessions, where they have none."""
    roaming = name_visitors(events, salt)
    if roaming:
        place_sessions(roaming, await _open_visits(db, roaming))


def name_visitors(events: Iterable[Event], salt: bytes | None) -> Roaming:
    """Give events visitors, and return those that need a session."""
    ids: dict[bytes, str] = {}
    roaming: Roaming = {}
    for event in events:
        visit = event.visit
        if visit is None:
            continue
        visitor_id, subject = event.visitor_id, visit.subject
        if subject is not None and salt is not None:
            visitor_id = ids.get(subject) or ids.setdefault(subject, make_visitor_id(salt, subject))
        if visit.needs_session and visitor_id is not None:
            roaming.setdefault(visitor_id, []).append((event, visit))
        else:
            event.place(event.session_id, visitor_id)
    return roaming


async def _open_visits(db: TenantConnection, roaming: Roaming) -> dict[str, list[OpenVisit]]:
    times = [event.occurred_at for visits in roaming.values() for event, _ in visits]
    zones = {visitor_id: visits[0][1].zone for visitor_id, visits in roaming.items()}
    found: dict[str, list[OpenVisit]] = {}
    asked = statement(db.placement, "open_visits")
    for row in await db.fetch(asked, sorted(roaming), min(times) - IDLE, max(times) + IDLE):
        session_id, visitor_id, started_at, ended_at, *campaign = row
        known = OpenVisit(
            id=session_id,
            started_at=started_at,
            ended_at=ended_at,
            campaign=campaign_of(*campaign),
            day=find_day(started_at, zones[visitor_id]),
        )
        found.setdefault(visitor_id, []).append(known)
    return found


def make_visitor_id(salt: bytes, subject: bytes) -> str:
    """Make the id of the day for what tells a visitor from others."""
    return MADE + _short(digest(salt, subject, sha256))


def place_sessions(roaming: Roaming, known: dict[str, list[OpenVisit]]) -> None:
    """Put each event into the session of its visitor that it belongs to, or into a new one.

    Shape: a session ends after IDLE without an event, at midnight in the client's zone, and where another campaign
    begins. Of one visitor's events the order of arrival makes no difference within a flush.
    """
    for visitor_id, events in roaming.items():
        visits = known.setdefault(visitor_id, [])
        for event, asked in sorted(events, key=_order) if len(events) > 1 else events:
            at = event.occurred_at
            visit = _find(at, asked.campaign, visits)
            if visit is None:
                visit = _begin(event, asked, visitor_id)
                visits.append(visit)
            visit.widen(at)
            event.place(visit.id, visitor_id)


def _order(roaming: tuple[Event, Visit]) -> tuple[datetime, UUID]:
    return roaming[0].occurred_at, roaming[0].id


def _find(at: datetime, campaign: str, visits: list[OpenVisit]) -> OpenVisit | None:
    """Find the session that an event belongs to; of several the one that lasted longest."""
    found: OpenVisit | None = None
    for visit in visits:
        if visit.takes(at, campaign) and (found is None or (visit.ended_at, visit.id) > (found.ended_at, found.id)):
            found = visit
    return found


def _begin(event: Event, asked: Visit, visitor_id: str) -> OpenVisit:
    """Begin a session under an id that two processes choose alike if they see its beginning at once."""
    at, campaign = event.occurred_at, asked.campaign
    window = int(at.timestamp()) // int(IDLE.total_seconds())
    name = blake2b(f"{visitor_id}\0{window}\0{campaign}".encode(), digest_size=_ID_BYTES).digest()
    return OpenVisit(
        id=MADE + _short(name), started_at=at, ended_at=at, campaign=campaign, day=find_day(at, asked.zone)
    )


def _short(value: bytes) -> str:
    return urlsafe_b64encode(value[:_ID_BYTES]).decode()
