"""Bring rows of the chatbot tables into a client with tables of its own: batch by batch, each in one transaction.

Called by `grove import`. A row that cannot be stored is put aside with the reason; rows that are there already
stay as they are, and sessions merge by the rule of events, so that an import may be repeated at any time.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from app.transfer.checkpoint import Checkpoint, Progress
from app.transfer.errors import ImportRefused, RowRefused
from app.transfer.reading import Source, SourceRow
from app.transfer.rows import Row, merge_sessions, read_row
from app.transfer.tables import TABLES, key_column
from tenants.databases import Databases, TenantConnection
from tenants.ids import quote
from tenants.placement import Placement, PlacementKind, Purpose
from tenants.sources import SESSIONS

BATCH_ROWS = 1_000
_UNSTORABLE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)

Notice = Callable[[Source, int], None]


class Judged(msgspec.Struct, frozen=True):
    """A row of the source with what it became."""

    found: SourceRow
    table: str
    row: Row


def require_own_tables(placement: Placement) -> None:
    """Refuse a client whose chatbot tables are not ours to write.

    Errors: ImportRefused.
    """
    if placement.kind is PlacementKind.EXTERNAL:
        raise ImportRefused(
            f"The chatbot tables of {placement.tenant_id} are an attached database that Grove only reads: "
            "there is nothing to import into."
        )


class Importer:
    """Carries out one import. `notice` is told of each source how far it was read."""

    def __init__(
        self,
        databases: Databases,
        placement: Placement,
        checkpoint: Checkpoint,
        zone: ZoneInfo,
        notice: Notice | None = None,
    ) -> None:
        self._databases = databases
        self._placement = placement
        self._checkpoint = checkpoint
        self._zone = zone
        self._notice = notice or (lambda *_: None)

    async def run(self, sources: Iterable[Source]) -> None:
        """Import all sources, from where an earlier run stopped; the counts are in the checkpoint.

        Errors: StoreUnavailable; running it again goes on then. ImportRefused if a source turns out to be none.
        """
        for source in sources:
            progress = self._checkpoint.progress(source.name, source.version)
            if not progress.ended:
                await self._import(source, progress)
        self._checkpoint.finish()

    async def _import(self, source: Source, progress: Progress) -> None:
        async with aclosing(source.rows(progress.mark)) as rows:
            async for batch in _batches(rows):
                await self._settle(batch, progress)
                progress.mark = batch[-1].mark
                self._checkpoint.save()
                self._notice(source, batch[-1].done)
        progress.ended = True
        self._checkpoint.save()

    async def _settle(self, batch: list[SourceRow], progress: Progress) -> None:
        """Store what can be stored of a batch, and put the rest aside."""
        judged: list[Judged] = []
        rejected: list[tuple[SourceRow, str]] = []
        for found in batch:
            try:
                judged.append(self._judge(found))
            except RowRefused as refusal:
                rejected.append((found, refusal.reason))
        try:
            stored = await self._store(judged)
        except _UNSTORABLE:
            judged, stored = await self._store_singly(judged, rejected)
        _count(progress, judged, stored, rejected)
        self._checkpoint.put_aside(rejected)

    def _judge(self, found: SourceRow) -> Judged:
        if found.fault is not None or found.table is None:
            raise RowRefused(found.fault or "it belongs to no table")
        return Judged(found, found.table, read_row(found.table, found.values, self._zone))

    async def _store(self, judged: list[Judged]) -> dict[str, int]:
        """Store rows in one transaction; return per table how many were new or learnt something."""
        stored: dict[str, int] = {}
        if judged:
            async with self._databases.unit(self._placement, Purpose.WRITE) as unit:
                for table in TABLES:
                    rows = [each.row for each in judged if each.table == table]
                    if rows:
                        stored[table] = await _write(unit, table, rows)
        return stored

    async def _store_singly(
        self, judged: list[Judged], rejected: list[tuple[SourceRow, str]]
    ) -> tuple[list[Judged], dict[str, int]]:
        """Find out which rows the database would not take."""
        kept, stored = [], dict.fromkeys(TABLES, 0)
        for each in judged:
            try:
                stored[each.table] += sum((await self._store([each])).values())
                kept.append(each)
            except _UNSTORABLE:
                rejected.append((each.found, "the database would not store it"))
        return kept, stored


def _count(
    progress: Progress, judged: list[Judged], stored: dict[str, int], rejected: list[tuple[SourceRow, str]]
) -> None:
    for each in judged:
        progress.tally(each.table).present += 1
    for table, imported in stored.items():
        if imported:
            tally = progress.tally(table)
            tally.imported += imported
            tally.present -= imported
    for found, _ in rejected:
        progress.tally(found.table).rejected += 1
    for tally in progress.tallies.values():
        tally.read = tally.imported + tally.present + tally.rejected


async def _batches(rows: AsyncIterator[SourceRow]) -> AsyncIterator[list[SourceRow]]:
    batch: list[SourceRow] = []
    async for row in rows:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


async def _write(unit: TenantConnection, table: str, rows: list[Row]) -> int:
    rows = merge_sessions(rows) if table == SESSIONS else rows
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    sql = _merge_sessions() if table == SESSIONS else _insert_missing(table)
    tag = await unit.execute(unit.placement.render(sql), *columns)
    return int(tag.rpartition(" ")[2])


def _merge_sessions() -> str:
    return (resources.files("app.transfer") / "sql" / "merge_sessions.sql").read_text(encoding="utf-8")


def _insert_missing(table: str) -> str:
    columns = TABLES[table]
    names = ", ".join(quote(column.name) for column in columns)
    arrays = ", ".join(f"${number}::{column.kind.sql}[]" for number, column in enumerate(columns, 1))
    return (
        f"INSERT INTO {{{{schema}}}}.{quote(table)} ({names}) "  # noqa: S608 - names of our own
        f"SELECT * FROM unnest({arrays}) ON CONFLICT ({quote(key_column(table))}) DO NOTHING"
    )
