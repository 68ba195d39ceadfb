"""One flush: the submissions of one client that share a transaction, and what becomes of each event. Pure.

Made by the group commit, written by the sink; the answers are made here so that both ways a flush can end
(committed now, or found committed after a lost answer) give the same ones.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any

import msgspec
from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import Arrival, Event
from app.ingest.masking import mask
from app.ingest.outcomes import Code, Conflict, FilterReason, IngestAnswer, Outcome, Rejected
from app.ingest.steps import uuid7

QUARANTINE_COLUMNS = {
    "id": "uuid", "flush": "int8", "received_at": "timestamptz", "key_id": "uuid", "event_id": "text", "code": "text",
    "pointer": "text", "detail": "text", "body": "bytea", "event_uuid": "uuid",
}  # fmt: skip
REPEAT_COLUMNS = {"id": "uuid", "flush": "int8", "received_at": "timestamptz", "n": "int8", "conflicts": "int8"}
COUNT_COLUMNS = ("hour", "key_id", "outcome", "reason", "n")
ID_COLUMNS = {"id": "uuid", "digest": "int8", "flush": "int8", "received_day": "date"}


class Unstorable(Exception):
    """The database refused the content of a flush."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """An event for quarantine: what is answered, and the event whole, as bytes.

    Shape: `event_uuid` is the id that it would have been stored under, if a repeat of it would have the same;
    `is_there` says that it was replayed in vain, and has its row already.
    """

    answer: Rejected
    body: bytes
    event_uuid: UUID | None = None
    is_there: bool = False


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """An event that nobody wants: it is counted, and kept nowhere."""

    index: int
    event_id: str | None
    reason: FilterReason


class Submission(msgspec.Struct, kw_only=True):
    """One request's events on their way to the database."""

    arrival: Arrival
    events: list[Event]
    refused: list[Refused]
    filtered: list[Passed] = []

    @property
    def size(self) -> int:
        """How many events were received."""
        return len(self.events) + len(self.refused) + len(self.filtered)


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """An event that leaves quarantine to take the steps again, and how it was counted."""

    received_at: datetime
    key_id: UUID
    code: str


class Flush(msgspec.Struct, kw_only=True):
    """Submissions that are committed together. `id` tells after a lost answer whether that happened.

    Shape: `released` are events of these submissions that were in quarantine; `at` is when it is written, if that is
    not when its first submission was received.
    """

    id: int
    submissions: list[Submission]
    released: list[Released] = []
    at: datetime | None = None

    @property
    def written_at(self) -> datetime:
        """From when on its ids are known."""
        return self.at or self.submissions[0].arrival.received_at

    def events(self) -> Iterator[Event]:
        """Go through all events in the order of their arrival."""
        for submission in self.submissions:
            yield from submission.events

    def claims(self) -> dict[UUID, Event]:
        """Map each id that may come again to the first event that bears it, in id order."""
        first: dict[UUID, Event] = {}
        for event in self.events():
            if event.tracked:
                first.setdefault(event.id, event)
        # One order for all flushes, so that two of them never wait for each other.
        return {event_id: first[event_id] for event_id in sorted(first)} if len(first) > 1 else first


class Settled(msgspec.Struct, kw_only=True):
    """Which of a flush's events were stored, and which ids were known with which digest."""

    stored: list[Event]
    duplicates: dict[int, list[Event]]
    digests: Mapping[UUID, int]


def settle(flush: Flush, claims: Mapping[UUID, Event], known: Mapping[UUID, int]) -> Settled:
    """Tell stored from duplicate.

    Shape: `known` maps ids that another flush had stored to their digests.
    """
    stored: list[Event] = []
    duplicates: dict[int, list[Event]] = {}
    digests = dict(known)
    for position, submission in enumerate(flush.submissions):
        for event in submission.events:
            if not event.tracked or (claims[event.id] is event and event.id not in known):
                stored.append(event)
            else:
                duplicates.setdefault(position, []).append(event)
                digests.setdefault(event.id, claims[event.id].digest)
    return Settled(stored=stored, duplicates=duplicates, digests=digests)


def answers(flush: Flush, settled: Settled) -> list[IngestAnswer]:
    """Write each submission's answer, in order."""
    return [
        _answer(submission, settled.duplicates.get(position, []), settled.digests)
        for position, submission in enumerate(flush.submissions)
    ]


def _answer(submission: Submission, duplicates: list[Event], digests: Mapping[UUID, int]) -> IngestAnswer:
    if not duplicates and not submission.refused and not submission.filtered:
        return _all_stored(len(submission.events))
    return IngestAnswer(
        accepted=len(submission.events) - len(duplicates),
        duplicates=len(duplicates),
        filtered=len(submission.filtered),
        conflicts=[
            Conflict(index=event.index, event_id=event.wire.event_id or str(event.id))
            for event in duplicates
            if event.digest != digests[event.id]
        ],
        rejected=[refused.answer for refused in submission.refused],
    )


@lru_cache(maxsize=64)
def _all_stored(events: int) -> IngestAnswer:
    return IngestAnswer(accepted=events, duplicates=0)


def count_outcomes(flush: Flush, settled: Settled) -> list[tuple[Any, ...]]:
    """Count a flush's outcomes as rows (hour, key_id, outcome, reason, n) that add up to what was received.

    Shape: what leaves quarantine is taken off the counts of the hour in which it was received.
    """
    counts: Counter[tuple[datetime, UUID, str, str]] = Counter()
    for released in flush.released:
        counts[_hour(released.received_at), released.key_id, Outcome.QUARANTINED.value, released.code] -= 1
    # Neighbours nearly always share hour and key, and looking these up would take longer than counting.
    for _, group in groupby(enumerate(flush.submissions), _sender):
        stored = duplicates = 0
        neighbours = list(group)
        hour, key_id = _hour(neighbours[0][1].arrival.received_at), neighbours[0][1].arrival.key_id
        for position, submission in neighbours:
            stored += len(submission.events)
            if position in settled.duplicates:
                duplicates += len(settled.duplicates[position])
            for refused in submission.refused:
                counts[hour, key_id, Outcome.QUARANTINED.value, refused.answer.code.value] += 1
            for passed in submission.filtered:
                counts[hour, key_id, Outcome.FILTERED.value, passed.reason.value] += 1
        counts[hour, key_id, Outcome.STORED.value, ""] += stored - duplicates
        counts[hour, key_id, Outcome.DUPLICATE.value, ""] += duplicates
    return [(*counted, n) for counted, n in counts.items() if n]


def _sender(placed: tuple[int, Submission]) -> tuple[int, int, UUID]:
    """Tell of which day, hour and key a submission is; to round its time would cost more than all the counting."""
    arrival = placed[1].arrival
    return arrival.received_at.toordinal(), arrival.received_at.hour, arrival.key_id


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def list_repeats(flush: Flush, settled: Settled) -> list[tuple[Any, ...]]:
    """List the ids that came again, as rows (id, flush, received_at, n, conflicts)."""
    found: dict[UUID, list[int]] = {}
    for duplicates in settled.duplicates.values():
        for event in duplicates:
            counts = found.setdefault(event.id, [0, 0])
            counts[0] += 1
            counts[1] += event.digest != settled.digests[event.id]
    return [(event_id, flush.id, flush.written_at, *found[event_id]) for event_id in sorted(found)]


def list_refused(flush: Flush) -> list[tuple[Any, ...]]:
    """List what goes to quarantine, as rows (QUARANTINE_COLUMNS)."""
    rows = []
    for submission in flush.submissions:
        arrival = submission.arrival
        for refused in submission.refused:
            if refused.is_there:
                continue
            row, answer = uuid7(arrival.received_at), refused.answer
            rows.append(
                (row, flush.id, arrival.received_at, arrival.key_id, answer.event_id, answer.code.value, answer.pointer,
                 answer.detail, refused.body, refused.event_uuid or row)
            )  # fmt: skip
    return rows


def refuse_stored(flush: Flush, unstorable: set[int]) -> None:
    """Move events that the database would not take (by identity) from the stored to the refused."""
    for submission in flush.submissions:
        for event in [event for event in submission.events if id(event) in unstorable]:
            submission.events.remove(event)
            detail = "The database would not store this event."
            answer = Rejected(
                index=event.index, event_id=event.wire.event_id, code=Code.UNSTORABLE, pointer="", detail=detail
            )
            refused = Refused(answer=answer, body=mask(msgspec.json.encode(event.wire)), event_uuid=event.id)
            submission.refused.append(refused)
