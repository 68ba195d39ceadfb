"""Rows from the chatbot tables of another database, in the order of their key, as of one moment.

Called by `sources` for an import, and by `exporter` for the tables of an attached client. Every value is read as a
text, so that one that Python could not hold costs its own row alone.
"""

from collections.abc import AsyncGenerator, Mapping

from app.transfer.reading import STATEMENT_TIMEOUT_S, Mark, SourceRow
from app.transfer.tables import TABLES, key_column
from tenants.databases import TenantConnection
from tenants.ids import quote
from tenants.placement import SourceMap
from tenants.sources import DATE, TIMESTAMP, TIMESTAMPTZ, SourceColumn, read_columns, source_name

COUNT_LIMIT = 1_000_000
_TIMES = frozenset({TIMESTAMPTZ, TIMESTAMP, DATE})


class RowTable:
    """One table of an open connection."""

    def __init__(
        self, connection: TenantConnection, table: str, names: SourceMap, columns: Mapping[str, SourceColumn]
    ) -> None:
        self.name = table
        self.version = ""
        self.total: int | None = None
        self._connection = connection
        self._table = table
        self._names = names
        self._columns = columns

    @property
    def _from(self) -> str:
        return f"{quote(self._names.schema)}.{quote(source_name(self._names, self._table))}"

    async def count(self) -> None:
        """Find out how many rows there are; of a very large table, about how many."""
        sql = (
            f"SELECT greatest((SELECT count(*) FROM (SELECT FROM {self._from} LIMIT {COUNT_LIMIT}) AS first), "  # noqa: S608 - quoted names
            "(SELECT reltuples::bigint FROM pg_catalog.pg_class WHERE oid = $1::text::regclass))"
        )
        self.total = await self._connection.fetchval(sql, self._from)

    async def rows(self, after: Mark | None) -> AsyncGenerator[SourceRow, None]:
        """Read the rows from a key on, those with that key once more; without a key column, always all."""
        key = key_column(self._table)
        key_type = self._columns[key].type if key in self._columns else None
        arguments = [str(after)] if after is not None and key_type is not None else []
        done = 0
        query = self._query(key, key_type, resume=bool(arguments))
        async for record in self._connection.cursor(query, *arguments, timeout_s=STATEMENT_TIMEOUT_S):
            done += 1
            values = {name: value for name, value in record.items() if value is not None}
            mark = values.get(key)
            yield SourceRow(
                table=self._table,
                place=f'"{self._table}" row {done}' if mark is None else f'"{self._table}" {key} {mark}',
                values=values,
                mark=mark,
                done=done,
            )

    def _query(self, key: str, key_type: str | None, *, resume: bool) -> str:
        shown = ", ".join(f"{self._text(name)} AS {quote(name)}" for name in self._columns)
        sql = f"SELECT {shown} FROM {self._from}"  # noqa: S608 - quoted names
        if key_type is None:
            return sql
        column = quote(source_name(self._names, self._table, key))
        # Keys need not be unique or present in a table of somebody else's: nothing is passed over.
        where = f" WHERE {column} >= $1::text::{key_type} OR {column} IS NULL" if resume else ""
        return f"{sql}{where} ORDER BY {column} NULLS LAST"

    def _text(self, name: str) -> str:
        column = quote(source_name(self._names, self._table, name))
        # JSON has one spelling of times; ::text has one per DateStyle.
        return f"to_json({column}) #>> '{{}}'" if self._columns[name].type in _TIMES else f"{column}::text"


async def find_tables(connection: TenantConnection, names: SourceMap) -> list[RowTable]:
    """List the chatbot tables that can be read, in our order."""
    found = await read_columns(connection.fetch, names)
    tables = []
    for table, columns in TABLES.items():
        theirs = found.get(source_name(names, table), {})
        known = {
            column.name: theirs[source_name(names, table, column.name)]
            for column in columns
            if source_name(names, table, column.name) in theirs
        }
        if known:
            tables.append(RowTable(connection, table, names, known))
    return tables
