"""Rows from CSV and NDJSON files, plain or gzipped, line by line, so that reading can go on at any row.

Called by `sources`. A line that cannot be read is told as a row with a fault.
"""

import csv
import gzip
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from app.transfer.errors import ImportRefused
from app.transfer.formulas import bare
from app.transfer.reading import Mark, SourceRow
from app.transfer.tables import TABLES, find_table
from tenants.placement import SourceMap
from tenants.sources import SESSIONS, source_name

SUFFIXES = (".csv", ".ndjson", ".jsonl")
TABLE_COLUMN = "table"
_DELIMITERS = ",;\t"
_BOM = b"\xef\xbb\xbf"
_MAX_RECORD = 4 * 1024 * 1024

Found = tuple[int, int, Mapping[str, Any], str | None]  # line, offset behind it, values by their names, fault


class RowFile:
    """One file.

    Shape: `table` None means that each row says in a column `table` where it belongs. `defended` tells that formulas
    were made harmless when the file was written, which is undone.
    """

    def __init__(self, path: Path, table: str | None, names: SourceMap, *, defended: bool = False) -> None:
        self.path = path
        self.name = path.name
        self._table = table
        self._names = names
        self._defended = defended
        try:
            state = path.stat()
        except OSError as error:
            raise ImportRefused(f"{path} cannot be read: {error.strerror}.") from error
        self.total: int | None = state.st_size
        self.version = f"{state.st_size}-{state.st_mtime_ns}"

    async def rows(self, after: Mark | None) -> AsyncGenerator[SourceRow, None]:
        """Read the rows behind an offset.

        Errors: ImportRefused if this is no such file at all.
        """
        with self.path.open("rb") as raw, self._inflated(raw) as stream:
            read = _read_csv if is_csv(self.path) else _read_ndjson
            try:
                for line, offset, values, fault in read(stream, int(after or 0)):
                    yield self._row(line, offset, values, fault, raw.tell())
            except (EOFError, gzip.BadGzipFile) as error:
                raise ImportRefused(f"{self.path} is no whole gzip file.") from error

    def _inflated(self, raw: IO[bytes]) -> IO[bytes]:
        return gzip.open(raw) if self.path.suffix == ".gz" else raw  # type: ignore[return-value]

    def _row(self, line: int, offset: int, values: Mapping[str, Any], fault: str | None, done: int) -> SourceRow:
        table = self._table
        if table is None and fault is None:
            given = values.get(TABLE_COLUMN)
            table = find_table(given, self._names.tables) if isinstance(given, str) else None
            if table is None:
                fault = f"its column `{TABLE_COLUMN}` names none of {', '.join(TABLES)}"
        named = values if table is None or fault is not None else self._ours(table, values)
        place = f"{self.path}:{line}"
        return SourceRow(table=table, place=place, values=named, mark=offset, done=done, fault=fault)

    def _ours(self, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
        theirs = ((column.name, source_name(self._names, table, column.name)) for column in TABLES[table])
        found = {ours: values[name] for ours, name in theirs if name in values}
        return {name: bare(value) for name, value in found.items()} if self._defended else found

    def check(self) -> None:
        """Refuse a CSV file that cannot hold a single row of ours.

        Errors: ImportRefused.
        """
        if not is_csv(self.path):
            return
        with self.path.open("rb") as raw, self._inflated(raw) as stream:
            header, _ = _read_header(stream)
        if self._table is None and TABLE_COLUMN not in header:
            raise ImportRefused(f"Name {self.path} after its table, or give --table, or a column `{TABLE_COLUMN}`.")
        wanted = source_name(self._names, self._table or SESSIONS, "sessionId")
        if wanted not in header:
            raise ImportRefused(f"{self.path} has no column `{wanted}` in its first line.")


def is_csv(path: Path) -> bool:
    """Tell CSV from NDJSON by the name."""
    return kind_of(path) == ".csv"


def kind_of(path: Path) -> str:
    """Return the suffix that tells what a file holds, compressed or not."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def _read_ndjson(stream: IO[bytes], offset: int) -> Iterator[Found]:
    line = _skip(stream, offset)
    for text in stream:
        line += 1
        offset += len(text)
        if not text.strip():
            continue
        try:
            values = json.loads(text.removeprefix(_BOM), parse_float=Decimal)
        except (ValueError, RecursionError):
            yield line, offset, {"line": _shown(text)}, "it is no JSON"
            continue
        if isinstance(values, dict):
            yield line, offset, values, None
        else:
            yield line, offset, {"line": _shown(text)}, "it is no JSON object"


def _skip(stream: IO[bytes], offset: int) -> int:
    """Go to an offset, counting the lines on the way."""
    lines = 0
    while offset > 0 and (chunk := stream.read(min(offset, 1 << 20))):
        offset -= len(chunk)
        lines += chunk.count(b"\n")
    return lines


def _read_header(stream: IO[bytes]) -> tuple[list[str], str]:
    """Read the names of a CSV file's columns, and find out what stands between them."""
    text = stream.readline().removeprefix(_BOM).decode(errors="surrogateescape")
    delimiter = max(_DELIMITERS, key=text.count)
    return [name.strip() for name in next(csv.reader([text], delimiter=delimiter), [])], delimiter


def _read_csv(stream: IO[bytes], offset: int) -> Iterator[Found]:
    csv.field_size_limit(_MAX_RECORD)
    header, delimiter = _read_header(stream)
    start = max(stream.tell(), offset)
    stream.seek(0)
    lines = _Lines(stream, start, _skip(stream, start))
    while not lines.ended:
        first, begin = lines.number + 1, lines.offset
        try:
            cells = next(csv.reader(lines, delimiter=delimiter, strict=True), None)
        except csv.Error as error:
            # A quote that is never closed would swallow the rest of the file: only its own line is lost.
            text = lines.rewind(begin, first)
            yield first, lines.offset, {"line": text}, f"it is no CSV ({error})"
            continue
        if cells is None:
            return
        if not cells:
            continue
        if len(cells) != len(header):
            yield first, lines.offset, {"cells": cells}, f"it has {len(cells)} cells, the first line has {len(header)}"
            continue
        # An empty cell is no value: CSV cannot tell it from an empty text.
        values = {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}
        yield first, lines.offset, values, None


class _Lines:
    """The lines of a stream, one at a time, knowing how far they reach."""

    def __init__(self, stream: IO[bytes], offset: int, number: int) -> None:
        self.offset, self.number, self.ended = offset, number, False
        self._stream = stream
        self._record = 0

    def __iter__(self) -> Iterator[str]:
        self._record = 0
        return self

    def __next__(self) -> str:
        text = self._stream.readline()
        if not text:
            self.ended = True
            raise StopIteration
        self.offset += len(text)
        self.number += 1
        self._record += len(text)
        if self._record > _MAX_RECORD:
            message = "a quote is never closed"
            raise csv.Error(message)
        return text.decode(errors="surrogateescape")

    def rewind(self, offset: int, number: int) -> str:
        """Go back behind the first line of a record, and return that line."""
        self._stream.seek(offset)
        text = self._stream.readline()
        self.offset, self.number, self.ended = offset + len(text), number, False
        return _shown(text)


def _shown(text: bytes) -> str:
    return text[:2000].decode(errors="replace").rstrip("\r\n")
