"""The chatbot's tables of one client as four relations that look alike everywhere.

Read by questions (`app.query.plan`) and by dashboards (`provisioning.templates`); pure. Grove's own tables are a
source without surprises, an attached database's are translated: names, types, zones, what it has not.
"""

import re
from collections.abc import Callable, Mapping

import msgspec

from tenants.ids import quote
from tenants.placement import Placement, SourceMap
from tenants.sources import (
    AGENTS,
    BOOLEAN,
    CHAT_LOG,
    DETAIL_COLUMNS,
    LEADS,
    SESSIONS,
    STEPS,
    TEXT,
    TEXT_COLUMNS,
    TIME_COLUMNS,
    TIMESTAMP,
    TIMESTAMPTZ,
    SourceColumn,
    SourceShape,
    source_name,
)

RELATIONS = {"chat_sessions": SESSIONS, "leads": LEADS, "chat_log": CHAT_LOG, "agent_connections": AGENTS}

OWN_SHAPE = SourceShape(
    tables={
        table: {name: SourceColumn(TEXT, nullable=False) for name in TEXT_COLUMNS[table]}
        | {name: SourceColumn(TIMESTAMPTZ) for name in TIME_COLUMNS[table]}
        | {name: SourceColumn(kind) for name, kind in DETAIL_COLUMNS[table].items()}
        for table in RELATIONS.values()
    }
)

# What Grafana's macros and variables begin with, and what escapes begin with.
_SUBSTITUTED = re.compile(r"[$\[\\]")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

Wanted = Callable[[str], bool]


class ChatTables(msgspec.Struct, frozen=True):
    """Where a client's chatbot tables are, and what they look like.

    Shape: `zone` is the SQL that names the zone in which times without one are read.
    """

    source: SourceMap
    shape: SourceShape
    zone: str

    def write(self, relation: str, *, wanted: Wanted = lambda _: True) -> str:
        """Write a relation as a query; with `wanted` only the columns that it agrees to."""
        table = RELATIONS[relation]
        columns = self.shape.tables.get(table, {})
        expressions = {name: expression for name, expression in self._columns(table, columns).items() if wanted(name)}
        shown = [f"{expression} AS {name}" for name, expression in expressions.items()]
        rows = (
            f"FROM {_write(self.source.schema)}.{_write(source_name(self.source, table))}" if columns else "WHERE false"
        )
        return "  SELECT " + ",\n         ".join(shown) + f"\n  {rows}"

    def _columns(self, table: str, columns: Mapping[str, SourceColumn]) -> dict[str, str]:
        texts = {name: self._text(table, name, columns) for name in TEXT_COLUMNS[table]}
        times = {name: self._time(table, name, columns) for name in TIME_COLUMNS[table]}
        details = {name: self._detail(table, name, columns) for name in DETAIL_COLUMNS[table]}
        found = {_snake(name): expression for name, expression in (texts | times | details).items()}
        return found | (_bounds(times) if table == SESSIONS else {})

    def _text(self, table: str, name: str, columns: Mapping[str, SourceColumn]) -> str:
        if name not in columns:
            return "NULL::text"
        column, expression = columns[name], _write(source_name(self.source, table, name))
        if column.type != TEXT:
            expression += "::text"
        # Lists are paged by the session's id, so a session without one needs a value that can be compared.
        return f"coalesce({expression}, '')" if table == SESSIONS and column.nullable else expression

    def _time(self, table: str, name: str, columns: Mapping[str, SourceColumn]) -> str:
        if name not in columns:
            return "NULL::timestamptz"
        expression = _write(source_name(self.source, table, name))
        kind = columns[name].type
        if kind == BOOLEAN:
            return f"CASE WHEN {expression} THEN {self._time(table, 'createdAt', columns)} END"
        if kind == TIMESTAMPTZ:
            return expression
        return f"({expression}{'' if kind == TIMESTAMP else '::timestamp'} AT TIME ZONE {self.zone})"

    def _detail(self, table: str, name: str, columns: Mapping[str, SourceColumn]) -> str:
        kind = DETAIL_COLUMNS[table][name]
        if name not in columns:
            return f"NULL::{kind}"
        expression = _write(source_name(self.source, table, name))
        return expression if kind != TEXT or columns[name].type == TEXT else f"{expression}::text"


def source_of(placement: Placement) -> SourceMap:
    """Return how the chatbot tables of a client are called: Grove's own are a source without surprises."""
    if placement.source_url is None:
        return SourceMap(schema=placement.schema)
    return placement.source or SourceMap()


def _write(name: str) -> str:
    """Quote a name of the source's so that nothing in it is taken for a macro or variable of a dashboard."""
    escaped = _SUBSTITUTED.sub(lambda found: f"\\{ord(found[0]):04x}", name)
    return quote(name) if escaped == name else f"U&{quote(escaped)}"


def _bounds(times: Mapping[str, str]) -> dict[str, str]:
    """Say when a session starts and ends.

    Its start decides which day it counts in, and is spelled exactly as in the index "UserEvents_startedAt".
    """
    first, *later = (times[step] for step in STEPS)
    return {
        "started_at": f"coalesce({first}, least({', '.join(later)}))",
        "ended_at": f"greatest({', '.join([first, *later, times['updatedAt']])})",
    }


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()
