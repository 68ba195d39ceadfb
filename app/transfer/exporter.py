"""Write a client out: all its tables as of one moment, streamed into files, with a manifest.

Called by `grove export`. A folder appears whole or not at all: it is filled beside its place and then moved there.
"""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from app.ingest.commerce import FACT_COLUMNS
from app.ingest.event import EVENT_COLUMNS
from app.ingest.web import SESSION_COLUMNS
from app.transfer.database import find_tables
from app.transfer.errors import ExportRefused, RowRefused
from app.transfer.manifest import MANIFEST, ExportedFile, Manifest
from app.transfer.output import Layout, open_output
from app.transfer.reading import STATEMENT_TIMEOUT_S
from app.transfer.rows import read_row
from app.transfer.sources import zone_of
from app.transfer.tables import TABLES
from tenants.databases import Databases, TenantConnection
from tenants.ids import quote
from tenants.placement import Placement, Purpose, SourceMap

_QUARANTINE = ("id", "received_at", "key_id", "event_id", "code", "pointer", "detail", "body")
_USAGE = ("hour", "key_id", "outcome", "reason", "count")

Notice = Callable[[str, int], None]
Rows = AsyncIterator[Sequence[Any]]


class Exporter:
    """Writes one client's tables into files. `notice` is told of each table how many rows were written."""

    def __init__(
        self,
        databases: Databases,
        placement: Placement,
        layout: Layout,
        notice: Notice | None = None,
    ) -> None:
        self._databases = databases
        self._placement = placement
        self._layout = layout
        self._notice = notice or (lambda *_: None)

    async def run(self, folder: Path, client: dict[str, Any], now: datetime) -> Manifest:
        """Write everything into a new folder and return its manifest.

        Shape: `client` describes the client, without secrets.
        Errors: ExportRefused; StoreUnavailable. Nothing is left behind then.
        """
        with _new_folder(folder) as draft:
            files: list[ExportedFile] = []
            remarks = await self._write_tables(draft, files)
            manifest = Manifest(
                exported_at=now,
                format=self._layout.format,
                gzip=self._layout.gzip,
                client=client,
                files=files,
                remarks=remarks,
            )
            (draft / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        return manifest

    async def _write_tables(self, draft: Path, files: list[ExportedFile]) -> list[str]:
        remarks: list[str] = []
        attached = self._placement.source_url is not None
        async with self._databases.unit(
            self._placement, Purpose.READ, statement_timeout_ms=STATEMENT_TIMEOUT_S * 1000, snapshot=True
        ) as unit:
            for table, columns, sql in own_tables(with_chat=not attached):
                await self._write(draft, files, table, columns, _own_rows(unit, columns, sql))
        if attached:
            async with self._databases.unit(
                self._placement, Purpose.SOURCE, statement_timeout_ms=STATEMENT_TIMEOUT_S * 1000, snapshot=True
            ) as unit:
                names = self._placement.source or SourceMap()
                for found in await find_tables(unit, names):
                    columns = [column.name for column in TABLES[found.name]]
                    await self._write(draft, files, found.name, columns, _attached_rows(found, names, remarks))
        return remarks

    async def _write(
        self, draft: Path, files: list[ExportedFile], table: str, columns: Sequence[str], rows: Rows
    ) -> None:
        with open_output(draft, table, columns, self._layout, files) as output:
            async for row in rows:
                output.write(row)
                if output.rows % 1000 == 0:
                    self._notice(table, output.rows)
        self._notice(table, output.rows)


def own_tables(*, with_chat: bool) -> Iterator[tuple[str, Sequence[str], str]]:
    """List what is exported of Grove's own tables: name, columns, query."""
    yield "events", EVENT_COLUMNS, _select("events", EVENT_COLUMNS)
    yield "sessions", SESSION_COLUMNS, _select("sessions", SESSION_COLUMNS)
    yield "commerce_facts", FACT_COLUMNS, _select("commerce_facts", FACT_COLUMNS)
    if with_chat:
        for table, columns in TABLES.items():
            names = [column.name for column in columns]
            yield table, names, _select(table, names)
    # Refused events may be anything, also no text: their bytes are told in base64.
    *shown, _ = map(quote, _QUARANTINE)
    body = "translate(encode(body, 'base64'), E'\\n', '')"
    yield "quarantine", _QUARANTINE, f"SELECT {', '.join(shown)}, {body} AS body FROM {{{{schema}}}}.quarantine"  # noqa: S608
    yield (
        "usage",
        _USAGE,
        (
            "SELECT hour, key_id, outcome, reason, sum(n)::bigint AS count FROM {{schema}}.outcome_counts "
            "GROUP BY hour, key_id, outcome, reason ORDER BY hour, key_id, outcome, reason"
        ),
    )


def _select(table: str, columns: Sequence[str]) -> str:
    return f"SELECT {', '.join(map(quote, columns))} FROM {{{{schema}}}}.{quote(table)}"  # noqa: S608 - names of our own


async def _own_rows(unit: TenantConnection, columns: Sequence[str], sql: str) -> Rows:
    json_at = columns.index("properties") if "properties" in columns else None
    async for record in unit.cursor(unit.placement.render(sql), timeout_s=STATEMENT_TIMEOUT_S):
        row = list(record)
        if json_at is not None:
            row[json_at] = msgspec.Raw(row[json_at].encode())
        yield row


async def _attached_rows(found: Any, names: SourceMap, remarks: list[str]) -> Rows:
    refused = 0
    async with aclosing(found.rows(None)) as rows:
        async for row in rows:
            try:
                yield read_row(found.name, row.values, zone_of(names))
            except RowRefused:
                refused += 1
    if refused:
        remarks.append(f"{refused} rows of {found.name} hold what cannot be read and are left out.")


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `folder` if the block ends well."""
    draft = folder.with_name(f".{folder.name}.partial")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportRefused(f"{folder} is there already; name a folder that is empty or not there yet.")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed
        draft.mkdir(mode=0o700, parents=True)
        yield draft
        draft.replace(folder)
    except OSError as error:
        raise ExportRefused(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
