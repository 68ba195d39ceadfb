"""Write rows into NDJSON or CSV files, plain or gzipped, and say what was written.

Called by `exporter`. CSV is RFC 4180 with a header, UTF-8, empty for null, and texts that a spreadsheet could run as
formulas are defended; NDJSON has one object per line and keeps every type.
"""

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import msgspec

from app.transfer.errors import ExportRefused
from app.transfer.formulas import defended
from app.transfer.manifest import ExportedFile

Line = Callable[[Sequence[Any]], bytes]
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How files are written: their format, and whether they are compressed."""

    format: str
    gzip: bool = False

    def file_name(self, table: str) -> str:
        """Name the file of a table."""
        return f"{table}.{self.format}{'.gz' if self.gzip else ''}"


class Output:
    """One file being written; `rows` counts up."""

    def __init__(self, stream: IO[bytes], line: Line) -> None:
        self.rows = 0
        self._stream = stream
        self._line = line

    def write(self, values: Sequence[Any]) -> None:
        """Write a row.

        Errors: ExportRefused.
        """
        self.put(self._line(values))
        self.rows += 1

    def put(self, text: bytes) -> None:
        """Write bytes.

        Errors: ExportRefused. It must not look like a failure of the database, within whose transaction we write.
        """
        try:
            self._stream.write(text)
        except OSError as error:
            raise ExportRefused(f"The export cannot be written: {error.strerror}.") from error


class _Hashed(io.RawIOBase):
    """A file that knows the SHA-256 of what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size_bytes += len(data)
        return self._file.write(data)


@contextmanager
def open_output(
    folder: Path, table: str, columns: Sequence[str], layout: Layout, written: list[ExportedFile]
) -> Iterator[Output]:
    """Open the file of a table; when the block ends, tell in `written` what the file holds.

    Errors: ExportRefused.
    """
    path = folder / layout.file_name(table)
    with _writing(path), path.open("wb") as file:
        hashed = _Hashed(file)
        with _stream(hashed, layout) as stream:
            output = Output(stream, _ndjson(columns) if layout.format == "ndjson" else _csv_line)
            if layout.format == "csv":
                output.put(_csv_line(columns))
            yield output
    written.append(
        ExportedFile(
            name=path.name,
            table=table,
            rows=output.rows,
            size_bytes=hashed.size_bytes,
            sha256=hashed.sha256.hexdigest(),
        )
    )


def _stream(hashed: _Hashed, layout: Layout) -> IO[bytes]:
    if layout.gzip:
        # No name and no time within: the same rows give the same bytes.
        return gzip.GzipFile("", "wb", fileobj=hashed, mtime=0)  # type: ignore[return-value]
    return io.BufferedWriter(hashed, 1 << 20)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportRefused(f"{path} cannot be written: {error.strerror}.") from error


def _ndjson(columns: Sequence[str]) -> Line:
    def line(values: Sequence[Any]) -> bytes:
        return _encode(dict(zip(columns, values, strict=True))) + b"\n"

    return line


def _csv_line(values: Sequence[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([_cell(value) for value in values])
    return text.getvalue().encode()


def _cell(value: object) -> object:
    match value:
        case str():
            return defended(value)
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case msgspec.Raw():
            return bytes(value).decode()
        case Decimal() | UUID():
            return str(value)
        case _:
            return value
