"""What an attached client database looks like: which chatbot tables it has, with which columns of which types.

Called when a database is attached and by questions to it; a legacy database differs in ways that only it can tell.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from tenants.placement import SourceMap

SESSIONS, LEADS, CHAT_LOG, AGENTS = "UserEvents", "Leads", "ChatLog", "AgentConnection"
STEPS = ("pageLoaded", "widgetOpened", "requestedHuman", "pressedAccept", "pressedCallback", "pressedContinue")

# Our tables and the columns of them that questions read; the first table is the one that there must be.
TEXT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    SESSIONS: ("sessionId",),
    LEADS: ("sessionId", "source"),
    CHAT_LOG: ("sessionId",),
    AGENTS: ("sessionId",),
}
TIME_COLUMNS: Mapping[str, tuple[str, ...]] = {
    SESSIONS: (*STEPS, "createdAt", "updatedAt"),
    LEADS: ("createdAt",),
    CHAT_LOG: ("createdAt",),
    AGENTS: ("connectedAt", "disconnectedAt"),
}
CHAT_TABLES = tuple(TEXT_COLUMNS)

TIMESTAMPTZ, TIMESTAMP, DATE, BOOLEAN, TEXT, NUMBER = (
    "timestamp with time zone",
    "timestamp without time zone",
    "date",
    "boolean",
    "text",
    "numeric",
)
_TIMES = frozenset({TIMESTAMPTZ, TIMESTAMP, DATE})
_NUMBERS = frozenset({NUMBER, "smallint", "integer", "bigint", "real", "double precision"})

# What only dashboards show, and as what; a source that lacks such a column, or has it as something else, is as good.
DETAIL_COLUMNS: Mapping[str, Mapping[str, str]] = {
    SESSIONS: {},
    LEADS: {"name": TEXT, "email": TEXT, "phone": TEXT},
    CHAT_LOG: {
        "role": TEXT,
        "intent": TEXT,
        "fallback": BOOLEAN,
        "tokensIn": NUMBER,
        "tokensOut": NUMBER,
        "cost": NUMBER,
        "latencyMs": NUMBER,
    },
    AGENTS: {"agent": TEXT, "csat": NUMBER},
}

# Only what the login may select is listed: a column that cannot be read is as good as none. Domains count as
# the type that they are made of.
_COLUMNS = """
SELECT c.relname AS "table", a.attname AS "column", NOT a.attnotnull AS nullable,
       format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) AS type
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
"""

Fetch = Callable[..., Awaitable[Sequence[Mapping[str, Any]]]]


class SourceColumn(msgspec.Struct, frozen=True):
    """A column as the source has it: its type as `format_type` spells it."""

    type: str
    nullable: bool = True


class SourceShape(msgspec.Struct, frozen=True, kw_only=True):
    """The chatbot tables of a source under our names.

    Shape: `tables` maps our table → our column → theirs, for what can be read; `remarks` says in words, per table of
    ours, what is missing or cannot be used. A table with a fatal remark is not in `tables`.
    """

    tables: Mapping[str, Mapping[str, SourceColumn]]
    remarks: Mapping[str, tuple[str, ...]] = {}

    @property
    def fit(self) -> bool:
        """Whether questions can be answered at all: the sessions can be read."""
        return SESSIONS in self.tables


def source_name(source: SourceMap, table: str, column: str | None = None) -> str:
    """Name a table or column of ours as the source calls it."""
    if column is None:
        return source.tables.get(table, table)
    return source.columns.get(table, {}).get(column, column)


async def read_shape(fetch: Fetch, source: SourceMap) -> SourceShape:
    """Find out what a source looks like, in one query."""
    return judge_shape(await read_columns(fetch, source), source)


async def read_columns(fetch: Fetch, source: SourceMap) -> dict[str, dict[str, SourceColumn]]:
    """List the columns that can be read of the chatbot tables of a source, all under the source's own names."""
    rows = await fetch(_COLUMNS, source.schema, [source_name(source, table) for table in CHAT_TABLES])
    found: dict[str, dict[str, SourceColumn]] = {}
    for row in rows:
        found.setdefault(row["table"], {})[row["column"]] = SourceColumn(row["type"], row["nullable"])
    return found


def judge_shape(found: Mapping[str, Mapping[str, SourceColumn]], source: SourceMap) -> SourceShape:
    """Decide which of the tables and columns that were found can be used.

    Shape: `found` has the source's own names. A step may be a `timestamptz`, `timestamp`, `date` or `boolean`
    column (true: it happened at "createdAt"); other times the first three. An absent step never happened.
    """
    tables, remarks = {}, {}
    for table in CHAT_TABLES:
        theirs = found.get(source_name(source, table), {})
        ours = {
            column: theirs[source_name(source, table, column)]
            for column in (*TEXT_COLUMNS[table], *TIME_COLUMNS[table])
            if source_name(source, table, column) in theirs
        }
        fatal, minor = (["was not found"], []) if not theirs else _judge_table(table, ours)
        ours |= {
            column: theirs[source_name(source, table, column)]
            for column, kind in DETAIL_COLUMNS[table].items()
            if source_name(source, table, column) in theirs
            and _shows(kind, theirs[source_name(source, table, column)].type)
        }
        if fatal or minor:
            remarks[table] = tuple(fatal + minor)
        if not fatal:
            tables[table] = ours
    return SourceShape(tables=tables, remarks=remarks)


def _judge_table(table: str, columns: Mapping[str, SourceColumn]) -> tuple[list[str], list[str]]:
    fatal = [
        f'has "{name}" as {columns[name].type}, which is no time'
        for name in TIME_COLUMNS[table]
        if name in columns and not _is_time(table, name, columns)
    ]
    if table == SESSIONS:
        if "sessionId" not in columns:
            fatal.append('has no "sessionId"')
        if not columns.keys() & set(STEPS):
            fatal.append("has none of the steps")
    elif not columns.keys() & set(TIME_COLUMNS[table]):
        fatal.append(f'has no "{TIME_COLUMNS[table][0]}"')
    minor = [f'has no "{name}"' for name in (*TEXT_COLUMNS[table], *TIME_COLUMNS[table]) if name not in columns]
    return fatal, [remark for remark in minor if remark not in fatal]


def _is_time(table: str, name: str, columns: Mapping[str, SourceColumn]) -> bool:
    if columns[name].type == BOOLEAN and table == SESSIONS and name in STEPS:
        return "createdAt" in columns and columns["createdAt"].type in _TIMES
    return columns[name].type in _TIMES


def _shows(kind: str, found: str) -> bool:
    """Tell whether a column can be shown as text, a number or a truth."""
    return kind in {TEXT, found} or (kind == NUMBER and found in _NUMBERS)
