"""What was sent and what was said of it: each request, when, with which key, and what its answer promised.

Written by senders (`tests/support/load.py`); `tests/support/judge.py` compares it with what is stored.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID

from tenants.clock import Clock, utc_now
from tenants.ids import as_uuid, quote


class Finding(NamedTuple):
    """Something that is wrong.

    Shape: `what` is `lost`, `doubled`, `foreign` (nobody sent it, or it was refused) or `altered` for events, and the
    same for what is in quarantine; `misanswered` for answers; `unequal` for books that do not add up; `sessions`,
    `facts` and `rollups` where a recount finds something else.
    """

    what: str
    detail: str


class Sent(NamedTuple):
    """An event as it left.

    Shape: `given` is its id as text, `id` the one under which it is stored; both are None if it brought none.
    """

    body: bytes
    given: str | None
    id: UUID | None
    name: Any
    session_id: Any


class Attempt:
    """One request: its events, and what was said of it. While nobody said anything, anything may have become of it."""

    def __init__(self, key: str, events: list[Sent], clock: Clock) -> None:
        self.key = key
        self.events = events
        self.status = 0
        self.answer: dict[str, Any] = {}
        self.began = clock()
        self.ended: datetime | None = None
        self._clock = clock

    @property
    def body(self) -> bytes:
        """What to send."""
        return b"[" + b",".join(event.body for event in self.events) + b"]"

    def end(self, status: int, content: bytes = b"") -> None:
        """Note a whole answer, or 0 that none came."""
        self.status = status
        self.ended = self._clock()
        if self.acked:
            self.answer = msgspec.json.decode(content)

    @property
    def acked(self) -> bool:
        """Whether its outcome was promised."""
        return self.status == 202

    @property
    def refused(self) -> bool:
        """Whether it was said that nothing came of it; of what is only unavailable nobody knows."""
        return 400 <= self.status < 500

    @property
    def rejected(self) -> dict[int, str]:
        """Which events are in quarantine, by place, and why."""
        return {each["index"]: each["code"] for each in self.answer.get("rejected", [])}

    @property
    def taken(self) -> list[Sent]:
        """The events that were stored now or before."""
        return [event for index, event in enumerate(self.events) if index not in self.rejected]

    def hours(self) -> set[datetime]:
        """List the hours in which it may have been received; one, but at the turn of an hour."""
        return {at.replace(minute=0, second=0, microsecond=0) for at in (self.began, self.ended or self._clock())}


class Replayed(NamedTuple):
    """An event that was taken out of quarantine, and what was said of it; `was` is its body when it came there."""

    key_id: UUID
    hour: datetime
    code: str
    was: bytes
    sent: Sent
    outcome: str
    new_code: str


class History:
    """All requests of one client. `clock` is the server's."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self.attempts: list[Attempt] = []
        self.replays: list[Replayed] = []
        self.clock = clock
        self._kept: dict[str, tuple[str, bytes]] = {}  # what is in quarantine after a replay in vain

    def begin(self, headers: Mapping[str, str], events: Sequence[bytes]) -> Attempt:
        """Note a request before it leaves; `headers` hold its key."""
        key = headers["Authorization"].removeprefix("Bearer ")
        attempt = Attempt(key, [_read(body) for body in events], self.clock)
        self.attempts.append(attempt)
        return attempt

    def replay(self, row: Mapping[str, Any], was: bytes, body: bytes, answer: Mapping[str, Any]) -> None:
        """Note an acknowledged replay: the row of quarantine as it was listed, its bodies, and what was answered."""
        code, was = self._kept.get(row["id"], (row["code"], was))
        if answer["outcome"] == "quarantined":
            self._kept[row["id"]] = answer["code"], body
        received = datetime.fromisoformat(row["received_at"])
        event_id = UUID(str(row["event_uuid"]))
        self.replays.append(
            Replayed(
                key_id=UUID(row["key_id"]),
                hour=received.replace(minute=0, second=0, microsecond=0),
                code=code,
                was=was,
                sent=_read(body)._replace(given=row["event_id"], id=event_id),
                outcome=answer["outcome"],
                new_code=answer.get("code") or "",
            )
        )

    def __or__(self, other: Self) -> Self:
        """Join two histories of one client."""
        joined = type(self)(self.clock)
        joined.attempts = self.attempts + other.attempts
        joined.replays = self.replays + other.replays
        return joined

    @property
    def promised(self) -> set[UUID]:
        """The ids that must be stored."""
        sent = {event.id for attempt in self.attempts if attempt.acked for event in attempt.taken}
        sent |= {replay.sent.id for replay in self.replays if replay.outcome in {"stored", "duplicate"}}
        return {event_id for event_id in sent if event_id is not None}


class _Told(msgspec.Struct):
    event_id: Any = None
    name: Any = None
    session_id: Any = None


def _read(body: bytes) -> Sent:
    try:
        told = msgspec.json.decode(body, type=_Told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = _Told()
    given = told.event_id if isinstance(told.event_id, str) else None
    return Sent(body, given, None if given is None else as_uuid(given), told.name, told.session_id)


async def fetch_in(url: str, schema: str, sql: str, *args: Any) -> list[asyncpg.Record]:
    """Run a statement as the administrator; `{schema}` in it stands for a client's schema."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(sql.replace("{schema}", quote(schema)), *args)
        return rows
    finally:
        await connection.close()
