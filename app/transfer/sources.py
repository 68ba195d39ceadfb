"""Find out what there is to import: a database, a folder of files, or one file.

Called by `grove import`; what comes out is read by `importer`.
"""

import tomllib
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from app.transfer.database import RowTable, find_tables
from app.transfer.errors import ImportRefused
from app.transfer.files import SUFFIXES, RowFile, is_csv, kind_of
from app.transfer.intake import Intake
from app.transfer.manifest import MANIFEST, find_manifest, read_manifest
from app.transfer.reading import STATEMENT_TIMEOUT_S, Source
from app.transfer.tables import TABLES, find_table
from tenants.databases import Databases, TenantConnection
from tenants.errors import StoreUnavailable
from tenants.placement import Placement, PlacementKind, Purpose, SourceMap
from tenants.zones import zone_names


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be imported. `origin` is a database URL or a path; `names` says how things are called there."""

    origin: str
    table: str | None = None
    names: SourceMap = SourceMap()

    @property
    def is_database(self) -> bool:
        """Whether the rows come from a database."""
        return urlsplit(self.origin).scheme in {"postgres", "postgresql"}

    @property
    def identity(self) -> bytes:
        """What makes another import of the same rows the same import; a password is no part of it."""
        parts = urlsplit(self.origin)
        place = parts.netloc.rpartition("@")[2] + parts.path if self.is_database else str(Path(self.origin).resolve())
        return msgspec.json.encode((place, self.table, self.names))


def read_names(path: Path | None, *, schema: str | None, timezone: str | None) -> SourceMap:
    """Read how a source calls things: a JSON or TOML file of `schema, timezone, tables, columns`, and options over it.

    Errors: ImportRefused.
    """
    given: dict[str, object] = {}
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
            given = tomllib.loads(text) if path.suffix == ".toml" else msgspec.json.decode(text, type=dict[str, object])
        except (OSError, ValueError) as error:
            raise ImportRefused(f"{path} cannot be read as {path.suffix or 'JSON'}: {error}.") from error
    given |= {name: value for name, value in (("schema", schema), ("timezone", timezone)) if value is not None}
    unknown = given.keys() - set(SourceMap.__struct_fields__)
    if unknown:
        raise ImportRefused(f"{path} may hold {', '.join(SourceMap.__struct_fields__)}, not {', '.join(unknown)}.")
    try:
        names = msgspec.convert(given, SourceMap)
    except msgspec.ValidationError as error:
        raise ImportRefused(f"{path}: {error}.") from error
    _check(names)
    return names


def _check(names: SourceMap) -> None:
    if names.timezone not in zone_names():
        raise ImportRefused(f"There is no time zone {names.timezone!r}; name one like Europe/Berlin.")
    for table in (*names.tables, *names.columns):
        if table not in TABLES:
            raise ImportRefused(f"The map names a table {table!r}; ours are {', '.join(TABLES)}.")
    for table, columns in names.columns.items():
        unknown = columns.keys() - {column.name for column in TABLES[table]}
        if unknown:
            raise ImportRefused(
                f"{table} has no column {', '.join(sorted(unknown))}; the map goes from our names to theirs."
            )


def zone_of(names: SourceMap) -> ZoneInfo:
    """Return the zone of times that come without one."""
    return ZoneInfo(names.timezone)


@asynccontextmanager
async def open_sources(order: Order, databases: Databases, placement: Placement) -> AsyncIterator[list[Source]]:
    """Open what an order names, while the block runs.

    Shape: never empty. `placement` is that of the client that receives the rows.
    Errors: ImportRefused.
    """
    if not order.is_database:
        yield [*_find_files(order)]
        return
    async with AsyncExitStack() as stack:
        # The source is read as an attached database would be: read only, as of one moment.
        there = msgspec.structs.replace(
            placement, kind=PlacementKind.EXTERNAL, source_url=order.origin, source=order.names
        )
        unit = databases.unit(there, Purpose.SOURCE, statement_timeout_ms=STATEMENT_TIMEOUT_S * 1000, snapshot=True)
        try:
            connection = await stack.enter_async_context(unit)
        except StoreUnavailable as error:
            raise ImportRefused("The source database cannot be reached, or does not let this login in.") from error
        yield [*await _find_tables(order, connection)]


async def _find_tables(order: Order, connection: TenantConnection) -> list[RowTable]:
    tables = [table for table in await find_tables(connection, order.names) if order.table in {None, table.name}]
    if not tables:
        wanted = ", ".join(TABLES if order.table is None else [order.table])
        raise ImportRefused(f"Schema {order.names.schema!r} of the source has no table that could be read of {wanted}.")
    for table in tables:
        await table.count()
    return tables


def _find_files(order: Order) -> list[RowFile]:
    origin = Path(order.origin)
    if origin.is_dir():
        files = [file for path in sorted(origin.iterdir()) if (file := _named_file(path, order)) is not None]
        files.sort(key=lambda file: list(TABLES).index(str(_table_of(file.path, order))))
        if not files:
            wanted = ", ".join(f"{name}.csv" for name in TABLES)
            raise ImportRefused(f"{origin} has no file such as {wanted} (or .ndjson, .jsonl, each also with .gz).")
    else:
        files = [_single_file(origin, order)]
    for file in files:
        file.check()
    return files


def _named_file(path: Path, order: Order) -> RowFile | None:
    table = _table_of(path, order)
    if table is None or order.table not in {None, table} or kind_of(path) not in SUFFIXES or not path.is_file():
        return None
    return _file(path, table, order.names)


def _single_file(path: Path, order: Order) -> RowFile:
    if not path.is_file():
        raise ImportRefused(f"{path} is no file, folder or postgresql:// URL.")
    if kind_of(path) not in SUFFIXES:
        raise ImportRefused(f"{path.name} must end in {', '.join(SUFFIXES)}, or in one of these and .gz.")
    return _file(path, order.table or _table_of(path, order), order.names)


def _file(path: Path, table: str | None, names: SourceMap) -> RowFile:
    return RowFile(path, table, names, defended=is_csv(path) and find_manifest(path) is not None)


def _table_of(path: Path, order: Order) -> str | None:
    return find_table(path.name.partition(".")[0], order.names.tables)


def find_intake(order: Order) -> Intake:
    """Read which schemas and adaptors a whole export tells of; nothing else does.

    Errors: ImportRefused.
    """
    manifest = None if order.is_database or order.table is not None else read_manifest(Path(order.origin))
    if manifest is None:
        return Intake()
    try:
        return msgspec.convert(manifest.client, Intake)
    except msgspec.ValidationError as error:
        raise ImportRefused(f"{MANIFEST}: {error}.") from error


def left_out(order: Order, taken: Collection[str]) -> list[str]:
    """List the files of a folder that are not imported, because they are none of the four tables."""
    origin = Path(order.origin)
    if order.is_database or not origin.is_dir():
        return []
    return sorted(path.name for path in origin.iterdir() if path.name not in taken and path.name != MANIFEST)
