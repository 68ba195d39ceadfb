"""The judge of every fault test: the store must agree with what was sent and promised, and with itself.

Each promised event must be stored exactly once, each other one at most once, and nothing that was never sent. Counts
per key, hour, outcome and reason are those of the answers; requests of unknown outcome count wholly or not at all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from tests.support.history import Attempt, Finding, History, Sent
from tests.support.store import Bucket, Store, read_store


async def judge(url: str, schema: str, history: History, registry_url: str | None = None) -> list[Finding]:
    """Compare a client's tables to its history, and its books to its tables.

    Shape: empty if all is well. The URLs are an administrator's; the registry may be where the tables are.
    """
    store = await read_store(url, schema, {attempt.key for attempt in history.attempts}, registry_url or url)
    return [
        *_judge_answers(history),
        *_judge_events(history, store),
        *_judge_quarantine(history, store),
        *_judge_tables(store),
        *_judge_counts(history, store),
        *store.recounts,
    ]


def _judge_answers(history: History) -> Iterator[Finding]:
    """Each answer by itself: it is about this request, and it is about all of it."""
    for attempt in filter(lambda each: each.acked, history.attempts):
        answer, size = attempt.answer, len(attempt.events)
        told = answer["accepted"] + answer["duplicates"] + answer["filtered"] + len(answer["rejected"])
        if told != size:
            yield Finding("misanswered", f"{size} events were sent, {told} were told of")
        if answer["accepted"] > len({event.id or index for index, event in enumerate(attempt.taken)}):
            yield Finding("misanswered", "one id was accepted twice")
        for each in (*answer["rejected"], *answer["conflicts"]):
            sent = attempt.events[each["index"]] if each["index"] < size else None
            if sent is None or (each["event_id"] is not None and each["event_id"] != sent.given):
                yield Finding("misanswered", f"{each['event_id']} was not sent in place {each['index']}")


def _judge_events(history: History, store: Store) -> Iterator[Finding]:
    stored = Counter(row["event_id"] for row in store.events)
    possible = _possible(history)
    for event_id in history.promised - stored.keys():
        yield Finding("lost", f"event {event_id}")
    for event_id, times in stored.items():
        if event_id in possible and times > 1:
            yield Finding("doubled", f"event {event_id}")
    for event_id in store.ids.keys() - stored.keys():
        yield Finding("lost", f"{event_id} is claimed, but no event has it")
    for event_id in possible.keys() & stored.keys() - store.ids.keys():
        yield Finding("unequal", f"event {event_id} is not among the known ids")
    yield from _judge_anonymous(history, [row for row in store.events if row["event_id"] not in possible])
    yield from _judge_contents(history, store, possible)
    yield from _judge_storers(history, stored.keys())


def _possible(history: History) -> dict[UUID, list[Sent]]:
    """Map the ids that may be stored to what was sent under them."""
    sent: dict[UUID, list[Sent]] = defaultdict(list)
    for attempt in history.attempts:
        for event in () if attempt.refused else attempt.taken:
            if event.id is not None:
                sent[event.id].append(event)
    for replay in history.replays:
        if replay.sent.id is not None:
            sent[replay.sent.id].append(replay.sent)
    return sent


def _judge_anonymous(history: History, rows: list[asyncpg.Record]) -> Iterator[Finding]:
    """Events that were sent without an id are known by their names and sessions."""

    def anonymous(attempts: Iterable[Attempt]) -> Counter[tuple[Any, Any]]:
        return Counter(
            (event.name, event.session_id) for attempt in attempts for event in attempt.taken if event.id is None
        )

    stored = Counter((row["name"], row["session_id"]) for row in rows)
    least = anonymous(attempt for attempt in history.attempts if attempt.acked)
    most = anonymous(attempt for attempt in history.attempts if not attempt.refused)
    for what in stored.keys() | least.keys():
        if stored[what] < least[what]:
            yield Finding("lost", f"{stored[what]} events {what} without an id of {least[what]}")
        if stored[what] > most[what]:
            found = "doubled" if most[what] else "foreign"
            yield Finding(found, f"{stored[what]} events {what} whose ids nobody sent; {most[what]} came without one")


def _judge_contents(history: History, store: Store, possible: dict[UUID, list[Sent]]) -> Iterator[Finding]:
    """What is stored under an id is what was sent under it, and who sent something else was told so."""
    for row in store.events:
        known, sent = store.ids.get(row["event_id"]), possible.get(row["event_id"])
        if known is None or sent is None:
            continue
        bodies = [event for event in sent if _digest(event.body) == known["digest"]]
        if (row["name"], row["session_id"]) not in {(event.name, event.session_id) for event in bodies}:
            yield Finding("altered", f"event {row['event_id']}")
        if row["flush"] != known["flush"]:
            yield Finding("unequal", f"event {row['event_id']} is of one flush, its id of another")
    for attempt in filter(lambda each: each.acked, history.attempts):
        told = {each["index"] for each in attempt.answer["conflicts"]}
        for index, event in enumerate(attempt.events):
            known = None if event.id is None or index in attempt.rejected else store.ids.get(event.id)
            if known is not None and (_digest(event.body) != known["digest"]) != (index in told):
                yield Finding("misanswered", f"conflict of {event.given} {'in vain' if index in told else 'untold'}")


def _digest(body: bytes) -> int:
    return int.from_bytes(blake2b(body, digest_size=8).digest(), "big", signed=True)


def _judge_storers(history: History, stored: Iterable[UUID]) -> Iterator[Finding]:
    """Of the answers about an id one says that it was stored, unless the request that stored it got no answer."""
    surely: Counter[UUID] = Counter(replay.sent.id for replay in history.replays if replay.outcome == "stored")
    perhaps: set[UUID | None] = set()
    for attempt in history.attempts:
        ids = {event.id for event in attempt.taken if event.id is not None}
        anonymous = sum(event.id is None for event in attempt.taken)
        if attempt.acked and attempt.answer["accepted"] == len(ids) + anonymous:
            surely.update(ids)
        elif not attempt.refused and not (attempt.acked and attempt.answer["accepted"] == anonymous):
            perhaps |= ids
    told = history.promised
    for event_id in stored:
        if surely[event_id] > 1:
            yield Finding("misanswered", f"{event_id} was accepted {surely[event_id]} times")
        if event_id in told and not surely[event_id] and event_id not in perhaps:
            yield Finding("misanswered", f"{event_id} was called a duplicate of nothing")


def _judge_quarantine(history: History, store: Store) -> Iterator[Finding]:
    """What was refused is there, whole, once each; an event that only the database refused is known by its id."""
    kept = Counter(_ward(row["code"], row["body"], row["event_id"]) for row in store.quarantine)
    least = _promised_wards(history)
    unknown = Counter(
        what
        for attempt in history.attempts
        if not attempt.acked and not attempt.refused
        for event in attempt.events
        for what in (event.body, event.given)
    )
    for ward in kept.keys() | least.keys():
        if kept[ward] < least[ward]:
            yield Finding("lost", f"quarantined {ward}")
        if kept[ward] > least[ward] + unknown[ward[1]]:
            yield Finding("doubled" if ward in least else "foreign", f"quarantined {ward}")


def _promised_wards(history: History) -> Counter[tuple[str, Any]]:
    wards: Counter[tuple[str, Any]] = Counter()
    for attempt in history.attempts:
        for index, event in enumerate(attempt.events):
            if index in attempt.rejected:
                wards[_ward(attempt.rejected[index], event.body, event.given)] += 1
    for replay in (each for each in history.replays if each.outcome != "gone"):
        wards[_ward(replay.code, replay.was, replay.sent.given)] -= 1
        if replay.outcome == "quarantined":
            wards[_ward(replay.new_code, replay.sent.body, replay.sent.given)] += 1
    return wards


def _ward(code: str, body: bytes, given: str | None) -> tuple[str, Any]:
    return code, given if code == "unstorable" else body


def _judge_tables(store: Store) -> Iterator[Finding]:
    """The counts are those of the tables, exactly."""
    told = Counter(Bucket(row["key_id"], _hour(row["received_at"]), "stored", "") for row in store.events)
    told.update(
        Bucket(row["key_id"], _hour(row["received_at"]), "quarantined", row["code"]) for row in store.quarantine
    )
    counted = Counter({bucket: n for bucket, n in store.counts.items() if bucket.outcome in {"stored", "quarantined"}})
    for bucket in told.keys() | counted.keys():
        if told[bucket] != counted[bucket]:
            yield Finding("unequal", f"{told[bucket]} {bucket.outcome} {bucket.reason}, but {counted[bucket]} counted")
    duplicates = sum(n for bucket, n in store.counts.items() if bucket.outcome == "duplicate")
    if duplicates != store.repeats:
        yield Finding("unequal", f"{store.repeats} repeats, but {duplicates} duplicates counted")


def _judge_counts(history: History, store: Store) -> Iterator[Finding]:
    """The counts are those of the answers, per key and hour, and over all hours."""
    shifts: Counter[Bucket] = Counter()
    for replay in history.replays:
        if replay.outcome != "gone":
            shifts[Bucket(replay.key_id, replay.hour, "quarantined", replay.code)] -= 1
            shifts[Bucket(replay.key_id, replay.hour, replay.outcome, replay.new_code)] += 1
    counts = Counter(store.counts)
    counts.subtract(shifts)
    hours = {hour for attempt in history.attempts for hour in attempt.hours()} | {bucket.hour for bucket in counts}
    attempts = [attempt for attempt in history.attempts if not attempt.refused]
    for key_id in {store.keys[attempt.key] for attempt in attempts} | {bucket.key_id for bucket in counts}:
        own = [each for each in attempts if store.keys[each.key] == key_id]
        for chosen in (*({hour} for hour in hours), hours):
            found: Counter[tuple[str, str]] = Counter()
            for bucket, n in counts.items():
                if bucket.key_id == key_id and bucket.hour in chosen:
                    found[bucket.outcome, bucket.reason] += n
            within = [each for each in own if each.hours() & chosen]
            yield from _judge_outcomes(found, within, [each for each in within if each.hours() <= chosen])


def _judge_outcomes(found: Counter[tuple[str, str]], within: list[Attempt], surely: list[Attempt]) -> Iterator[Finding]:
    """Compare the counts of a key in a time with the requests that may be, and those that must be, counted there."""
    sure = [attempt for attempt in surely if attempt.acked]
    least: Counter[tuple[str, str]] = Counter()
    for attempt in sure:
        least.update(_outcomes(attempt))
    most, received = Counter(least), 1 << sum(len(attempt.events) for attempt in sure)
    for attempt in (each for each in within if each not in sure):
        received |= received << len(attempt.events)
        known = _outcomes(attempt) if attempt.acked else Counter(dict.fromkeys(found, len(attempt.events)))
        most.update(known)
    total = sum(found.values())
    if total < 0 or not received >> total & 1:
        yield Finding("unequal", f"{total} counted as received")
    for what in found.keys() | least.keys():
        if not least[what] <= found[what] <= most[what]:
            bounds = f"{least[what]} to {most[what]}" if least[what] != most[what] else least[what]
            yield Finding("unequal", f"{found[what]} counted as {' '.join(what).strip()}, {bounds} answered")


def _outcomes(attempt: Attempt) -> Counter[tuple[str, str]]:
    told = Counter(("quarantined", code) for code in attempt.rejected.values())
    told["stored", ""] = attempt.answer["accepted"]
    told["duplicate", ""] = attempt.answer["duplicates"]
    return told


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
