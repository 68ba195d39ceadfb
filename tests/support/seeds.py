"""Bugs as somebody might write them, each put into the product for one test: the judge must find them.

A seed takes the place of a function of the product; nothing of the product knows about it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import msgspec
import pytest

from app.auth.limiter import Limiter
from app.ingest import replay, routes, sink, tables
from app.ingest.commerce import fold_commerce
from app.ingest.event import Event
from app.ingest.flush import Flush, Submission, answers, count_outcomes, settle
from app.ingest.group_commit import GroupCommit
from app.ingest.outcomes import Rejected
from app.ingest.sink import PostgresSink
from app.ingest.statements import statement as ingest_statement
from app.ingest.web import fold_web
from app.rollups import round as rollup_round
from app.rollups.statements import statement as rollup_statement
from tenants.errors import RateLimited, StoreUnavailable
from tenants.placement import Placement
from tests.support.eventful import Eventful

_RELEASED = "release_quarantined"


class Seed(NamedTuple):
    """A bug, and a finding that the judge must come to: what it is, and words of its detail."""

    plant: Callable[[pytest.MonkeyPatch, Eventful], None]
    what: str
    words: str


def acknowledge_before_commit(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Answer at once and store behind the sender's back."""
    original, behind = PostgresSink.store, set()

    async def store(self: PostgresSink, placement: Placement, flush: Flush) -> Any:
        task = asyncio.create_task(original(self, placement, flush))
        behind.add(task)
        task.add_done_callback(lambda done: done.exception())
        return _all_new(flush)

    patch.setattr(PostgresSink, "store", store)


def drop_on_error(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Take a database that is away for one that has stored."""
    original = PostgresSink.store

    async def store(self: PostgresSink, placement: Placement, flush: Flush) -> Any:
        try:
            return await original(self, placement, flush)
        except StoreUnavailable:
            return _all_new(flush)

    patch.setattr(PostgresSink, "store", store)


def flush_twice(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Write again what an attempt without an answer may have committed."""
    original = PostgresSink._attempt  # noqa: SLF001 - that is what is broken

    async def attempt(self: PostgresSink, placement: Placement, flush: Flush, *, wary: bool, lost: bool) -> Any:
        if lost:
            flush.id += 1
        return await original(self, placement, flush, wary=wary, lost=False)

    patch.setattr(PostgresSink, "_attempt", attempt)


def believe_a_lost_commit(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Take what an attempt without an answer did for committed."""
    original = PostgresSink._attempt  # noqa: SLF001 - as above

    async def attempt(self: PostgresSink, placement: Placement, flush: Flush, *, wary: bool, lost: bool) -> Any:
        return _all_new(flush) if lost else await original(self, placement, flush, wary=wary, lost=False)

    patch.setattr(PostgresSink, "_attempt", attempt)


def store_at_the_neighbours(patch: pytest.MonkeyPatch, run: Eventful) -> None:
    """Flush some of a client's requests into another's tables."""
    original, places = GroupCommit.submit, []

    async def submit(self: GroupCommit, placement: Placement, submission: Submission) -> Any:
        places.append(placement)
        strangers = [place for place in places if place.tenant_id == run.neighbour.client.id]
        wrong = strangers and len(places) % 3 == 0
        return await original(self, strangers[0] if wrong else placement, submission)

    patch.setattr(GroupCommit, "submit", submit)


def forget_the_last_submission(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Swallow what one submission of a flush meets."""

    def settled(flush: Flush, claims: Any, known: Any) -> Any:
        found = settle(flush, claims, known)
        if len(flush.submissions) > 1:
            last = {id(event) for event in flush.submissions[-1].events}
            found.stored = [event for event in found.stored if id(event) not in last]
        return found

    patch.setattr(tables, "settle", settled)


def lose_the_quarantine(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Keep nothing of what was refused."""
    patch.setattr(tables, "list_refused", lambda _flush: [])


def skip_the_duplicate_check(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Take every id for a new one."""

    async def claim(*_args: Any, **_options: Any) -> dict[Any, int]:
        return {}

    patch.setattr(tables, "_claim", claim)


def hide_conflicts(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Call an event with another body a mere duplicate."""
    _change_answers(patch, lambda told: [msgspec.structs.replace(answer, conflicts=[]) for answer in told])


def answer_somebody_else(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Give each sender of a flush the answer of another."""
    _change_answers(patch, lambda told: told[::-1])


def miscount_places(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Number refused events from one."""

    def shifted(each: Rejected) -> Rejected:
        return msgspec.structs.replace(each, index=each.index + 1)

    _change_answers(
        patch,
        lambda told: [
            msgspec.structs.replace(answer, rejected=[shifted(each) for each in answer.rejected]) for answer in told
        ],
    )


def count_no_duplicates(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Leave repeats out of the books."""
    _change_counts(patch, lambda rows: [row for row in rows if row[2] != "duplicate"])


def count_twice(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Count each outcome twice."""
    _change_counts(patch, lambda rows: [(*row[:4], 2 * row[4]) for row in rows])


def count_for_another_key(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Count what shares a flush for the key of the first."""

    def change(rows: list[Any]) -> list[Any]:
        summed: dict[Any, int] = {}
        for hour, _key, outcome, reason, n in rows:
            bucket = hour, rows[0][1], outcome, reason
            summed[bucket] = summed.get(bucket, 0) + n
        return [(*bucket, n) for bucket, n in summed.items()]

    _change_counts(patch, change)


def fold_twice(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Add a flush to its sessions twice."""
    original = fold_web

    def fold(stored: Iterable[Event]) -> Any:
        return [(*row[:5], 2 * row[5], 2 * row[6], *row[7:]) for row in original(stored)]

    patch.setattr(tables, "fold_web", fold)


def store_anothers_fields(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Put each event's fields under the id of the next."""

    def settled(flush: Flush, claims: Any, known: Any) -> Any:
        found = settle(flush, claims, known)
        ids = [event.id for event in found.stored]
        for event, event_id in zip(found.stored, ids[1:] + ids[:1], strict=True):
            event.record[0] = event_id
        return found

    patch.setattr(tables, "settle", settled)


def leave_what_was_replayed(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Keep an event in quarantine when a replay has stored it."""
    original = ingest_statement
    patch.setattr(
        replay, "statement", lambda place, name: f"{original(place, name)}{' AND false' if name == _RELEASED else ''}"
    )


def store_what_is_over_the_limit(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Store first and look at the limit afterwards."""
    read: ContextVar[Any] = ContextVar("read")
    read_original, admit_original = routes.Collection._read, Limiter.admit  # noqa: SLF001 - as above

    def note(self: routes.Collection, *given: Any) -> Any:
        submission, heard = read_original(self, *given)
        read.set((self._commit, submission))
        return submission, heard

    async def admit(self: Limiter, client: Any, *given: Any, **named: Any) -> Any:
        try:
            return await admit_original(self, client, *given, **named)
        except RateLimited:
            commit, submission = read.get()
            await commit.submit(client.placement, submission)
            raise

    patch.setattr(routes.Collection, "_read", note)
    patch.setattr(Limiter, "admit", admit)


def forget_a_flush_in_the_rollups(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Settle a flush that was not added."""
    original = rollup_round._add  # noqa: SLF001 - as above

    async def add(db: Any, state: Any, taken: list[Any]) -> None:
        sql = "DELETE FROM {{schema}}.rollup_pending WHERE flush = $1"
        await db.execute(db.placement.render(sql), taken[0]["flush"])
        await original(db, state, taken[1:] or taken)

    patch.setattr(rollup_round, "_add", add)


def roll_a_flush_up_twice(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Add a flush and let it wait on."""
    original = rollup_round._add  # noqa: SLF001 - as above

    async def add(db: Any, state: Any, taken: list[Any]) -> None:
        await original(db, state, taken)
        sql = "INSERT INTO {{schema}}.rollup_pending (flush, events, visits) VALUES ($1, $2, $3)"
        await db.execute(db.placement.render(sql), *taken[0].values())

    patch.setattr(rollup_round, "_add", add)


def roll_up_nothing_late(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Pass over what happened more than a week ago."""
    original, late = rollup_statement, "WHERE e.occurred_at > now() - interval '7 days' AND e.flush = ANY"

    def statement(placement: Placement, name: str) -> str:
        sql = original(placement, name)
        assert name != "roll_up" or "WHERE e.flush = ANY" in sql
        return sql.replace("WHERE e.flush = ANY", late) if name == "roll_up" else sql

    patch.setattr(rollup_round, "statement", statement)


def tell_facts_of_repeats(patch: pytest.MonkeyPatch, _run: Eventful) -> None:
    """Tell commerce facts of all that came, instead of what is stored."""
    written: ContextVar[Flush] = ContextVar("written")

    def note(flush: Flush, *given: Any) -> Any:
        written.set(flush)
        return settle(flush, *given)

    patch.setattr(tables, "settle", note)
    patch.setattr(tables, "fold_commerce", lambda _stored: fold_commerce(written.get().events()))


def _all_new(flush: Flush) -> Any:
    return answers(flush, settle(flush, flush.claims(), {}))


def _change_answers(patch: pytest.MonkeyPatch, change: Callable[[list[Any]], list[Any]]) -> None:
    patch.setattr(sink, "answers", lambda flush, settled: change(answers(flush, settled)))


def _change_counts(patch: pytest.MonkeyPatch, change: Callable[[list[Any]], Sequence[Any]]) -> None:
    patch.setattr(tables, "count_outcomes", lambda flush, settled: change(count_outcomes(flush, settled)))


SEEDS = (
    Seed(acknowledge_before_commit, "lost", "event"),
    Seed(drop_on_error, "lost", "event"),
    Seed(flush_twice, "doubled", "whose ids nobody sent"),
    Seed(believe_a_lost_commit, "lost", "event"),
    Seed(store_at_the_neighbours, "foreign", "whose ids nobody sent"),
    Seed(forget_the_last_submission, "lost", "claimed, but no event has it"),
    Seed(lose_the_quarantine, "lost", "quarantined"),
    Seed(skip_the_duplicate_check, "doubled", "event"),
    Seed(hide_conflicts, "misanswered", "untold"),
    Seed(answer_somebody_else, "misanswered", "were told of"),
    Seed(miscount_places, "misanswered", "was not sent in place"),
    Seed(count_no_duplicates, "unequal", "0 counted as duplicate"),
    Seed(count_twice, "unequal", "counted as received"),
    Seed(count_for_another_key, "unequal", "counted as received"),
    Seed(fold_twice, "sessions", "stored"),
    Seed(store_anothers_fields, "altered", "event"),
    Seed(leave_what_was_replayed, "doubled", "quarantined"),
    Seed(store_what_is_over_the_limit, "foreign", "whose ids nobody sent"),
    Seed(forget_a_flush_in_the_rollups, "rollups", "recounted"),
    Seed(roll_a_flush_up_twice, "rollups", "recounted"),
    Seed(roll_up_nothing_late, "rollups", "recounted"),
    Seed(tell_facts_of_repeats, "facts", "has 2 facts"),
)
