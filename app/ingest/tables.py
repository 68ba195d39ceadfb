"""Write a flush into its client's tables within a unit of work: ids, `COPY`, folds, counts.

Called by the sink, and by whoever replays what is in quarantine.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from app.ingest.chat import fold_chat
from app.ingest.commerce import FACT_TYPES, fold_commerce
from app.ingest.event import STORED_COLUMNS, Event
from app.ingest.flush import (
    COUNT_COLUMNS,
    ID_COLUMNS,
    QUARANTINE_COLUMNS,
    REPEAT_COLUMNS,
    Flush,
    Settled,
    Unstorable,
    count_outcomes,
    list_refused,
    list_repeats,
    settle,
)
from app.ingest.persons import fold_persons
from app.ingest.statements import statement
from app.ingest.visits import place_visits
from app.ingest.web import SESSION_COLUMNS, fold_web
from tenants.databases import TenantConnection

# What the driver or the database say of content that they cannot take; the driver's own errors are ValueErrors, and a
# text that an index cannot hold exceeds a limit.
UNSTORABLE = (
    asyncpg.DataError, asyncpg.CheckViolationError, asyncpg.ProgramLimitExceededError, ValueError, OverflowError,
)  # fmt: skip
# What it says when a client was moved or removed since its flush began: the schema, or the role, is there no more.
LEFT = (asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError, asyncpg.InvalidParameterValueError)


class Repeated(Exception):
    """An id of a flush, all of which were taken to be new, was known before."""


async def write_flush(db: TenantConnection, flush: Flush, salt: bytes | None = None, *, wary: bool = True) -> Settled:
    """Write a flush within a unit of work.

    Shape: of the `salt` ids of visitors are made, where they have none; unless `wary`, the flush's own ids are taken to
    be new, which is cheaper.
    Errors: Unstorable if the database refuses the content of an event, Repeated if an id was not new after all; then
    the unit is broken.
    """
    try:
        return await _write(db, flush, salt, wary=wary)
    except LEFT:
        raise  # one of these, that a role is gone, counts as a fault of data, too
    except UNSTORABLE as error:
        raise Unstorable from error


async def _write(db: TenantConnection, flush: Flush, salt: bytes | None, *, wary: bool) -> Settled:
    claims = flush.claims()
    known = await _claim(db, flush, claims, wary=wary) if claims else {}
    settled = settle(flush, claims, known)
    # After the ids, whose `COPY` opens the transaction without a round trip of its own.
    await place_visits(db, settled.stored, salt)
    await _fold_chat(db, settled.stored)
    await _fold_persons(db, settled.stored)
    facts = fold_commerce(settled.stored)
    if facts:
        await db.copy("commerce_facts", FACT_TYPES, facts)
    repeats, refused = list_repeats(flush, settled), list_refused(flush)
    if repeats:
        await db.copy("event_repeats", REPEAT_COLUMNS, repeats)
    if refused:
        await db.copy("quarantine", QUARANTINE_COLUMNS, refused)
    counts = count_outcomes(flush, settled)
    if counts:  # what was replayed in vain, for the same reason as before, changes none
        sessions = _columns(fold_web(settled.stored), SESSION_COLUMNS)
        told = *sessions, flush.id, len(settled.stored), *_columns(counts, COUNT_COLUMNS)
        await db.execute(statement(db.placement, "tell_flush"), *told)
    if settled.stored:
        await db.copy("events", STORED_COLUMNS, [(*event.record, flush.id) for event in settled.stored])
    return settled


async def _claim(db: TenantConnection, flush: Flush, claims: dict[Any, Event], *, wary: bool) -> dict[Any, int]:
    """Claim ids for this flush; return the ones that another had claimed, with their digests."""
    day = flush.written_at.date()
    if not wary:
        rows = [(event_id, event.digest, flush.id, day) for event_id, event in claims.items()]
        try:
            await db.copy("event_ids", ID_COLUMNS, rows)
        except asyncpg.UniqueViolationError as error:
            raise Repeated from error
        return {}
    given = list(claims), [event.digest for event in claims.values()], flush.id, day
    if await db.fetchval(statement(db.placement, "claim_ids"), *given) == len(claims):
        return {}
    # One that was known may be past the window, and be purged before it is read: then it is nobody's yet.
    while len(rows := await _recall_ids(db, claims)) < len(claims):
        await db.fetchval(statement(db.placement, "claim_ids"), *given)
    return _others(rows, flush)


async def _recall_ids(db: TenantConnection, claims: dict[Any, Event]) -> list[asyncpg.Record]:
    return await db.fetch(statement(db.placement, "recall_ids"), list(claims))


def _others(rows: list[asyncpg.Record], flush: Flush) -> dict[Any, int]:
    return {row["id"]: row["digest"] for row in rows if row["flush"] != flush.id}


async def recall(db: TenantConnection, flush: Flush) -> Settled:
    """Find out what an earlier attempt of this flush committed."""
    claims = flush.claims()
    return settle(flush, claims, _others(await _recall_ids(db, claims), flush))


async def _fold_chat(db: TenantConnection, stored: list[Event]) -> None:
    """Fold chat events into the chatbot's tables."""
    chat = fold_chat(stored)
    # Sessions first: their row locks order whatever else two flushes do to the same session.
    for name, rows in (
        ("fold_chat_sessions", chat.sessions),
        ("fold_leads", chat.leads),
        ("fold_messages", chat.messages),
        ("fold_agent_events", chat.agents),
    ):
        if rows:
            await db.execute(statement(db.placement, name), *_columns(rows, rows[0]))
    if chat.agents:
        sessions = sorted({row[1] for row in chat.agents})
        await db.execute(statement(db.placement, "clear_connections"), sessions)
        await db.execute(statement(db.placement, "rebuild_connections"), sessions)


async def _fold_persons(db: TenantConnection, stored: list[Event]) -> None:
    """Keep who was identified."""
    persons, visitors = fold_persons(stored)
    if persons:
        await db.execute(statement(db.placement, "fold_persons"), *_columns(persons, persons[0]))
    if visitors:
        await db.execute(statement(db.placement, "link_visitors"), *_columns(visitors, visitors[0]))


def _columns(rows: Sequence[tuple[Any, ...]], names: Sequence[Any]) -> list[list[Any]]:
    """Turn rows into columns, of which there are as many as names even if there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
