"""Put a question's SQL on top of one client's tables, whatever these look like.

Called by `app.query.run`; pure. A question is written once, against the relations `chat_sessions`, `leads`,
`chat_log` and `agent_connections`; the prelude made here defines them as CTEs over Grove's own tables or over an
attached database's.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tenants.ids import quote
from tenants.placement import Placement, SourceMap
from tenants.sources import (
    AGENTS,
    BOOLEAN,
    CHAT_LOG,
    LEADS,
    SESSIONS,
    STEPS,
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
        table: {name: SourceColumn("text", nullable=False) for name in TEXT_COLUMNS[table]}
        | {name: SourceColumn(TIMESTAMPTZ) for name in TIME_COLUMNS[table]}
        for table in RELATIONS.values()
    }
)

# A named value, unless it stands in a quoted name, a string or a comment, or is a cast.
_TOKEN = re.compile(r"""(?P<skip>"(?:[^"]|"")*"|'(?:[^']|'')*'|--[^\n]*|::)|:(?P<name>[a-z_]+)""")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Statement(msgspec.Struct, frozen=True):
    """SQL with `$1 …` and the values for it, ready to be run."""

    sql: str
    args: tuple[Any, ...]


def plan_question(
    question: str, values: Mapping[str, Any], placement: Placement, shape: SourceShape = OWN_SHAPE
) -> Statement:
    """Write the statement that answers a question for one client.

    Shape: `question` names its values as `:name`; `shape` is what was found at the source of an attached client.
    """
    source = source_of(placement)
    prelude = ",\n".join(
        f"{relation} AS NOT MATERIALIZED (\n{_relation(table, source, shape)})"
        for relation, table in RELATIONS.items()
        if re.search(rf"\b{relation}\b", question)
    )
    return bind_values(f"WITH {prelude}\n{question}", {**values, "source_zone": source.timezone})


def source_of(placement: Placement) -> SourceMap:
    """Return how the chatbot tables of a client are called: Grove's own are a source without surprises."""
    if placement.source_url is None:
        return SourceMap(schema=placement.schema)
    return placement.source or SourceMap()


def bind_values(sql: str, values: Mapping[str, Any]) -> Statement:
    """Turn `:name` into `$1 …`, each name once, in the order of first use."""
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0] if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    text = _TOKEN.sub(number, sql)
    return Statement(text, tuple(values[name] for name in numbers))


def _relation(table: str, source: SourceMap, shape: SourceShape) -> str:
    columns = shape.tables.get(table, {})
    texts = {name: _text(table, name, source, columns) for name in TEXT_COLUMNS[table]}
    times = {name: _time(table, name, source, columns) for name in TIME_COLUMNS[table]}
    shown = [f"{expression} AS {_snake(name)}" for name, expression in (texts | times).items()]
    if table == SESSIONS:
        shown += _bounds(times)
    rows = f"FROM {quote(source.schema)}.{quote(source_name(source, table))}" if columns else "WHERE false"
    return "  SELECT " + ",\n         ".join(shown) + f"\n  {rows}"


def _bounds(times: Mapping[str, str]) -> list[str]:
    """Say when a session starts and ends.

    Its start decides which day it counts in, and is spelled exactly as in the index "UserEvents_startedAt".
    """
    first, *later = (times[step] for step in STEPS)
    return [
        f"coalesce({first}, least({', '.join(later)})) AS started_at",
        f"greatest({', '.join([first, *later, times['updatedAt']])}) AS ended_at",
    ]


def _text(table: str, name: str, source: SourceMap, columns: Mapping[str, SourceColumn]) -> str:
    if name not in columns:
        return "NULL::text"
    column, expression = columns[name], quote(source_name(source, table, name))
    if column.type != "text":
        expression += "::text"
    # Lists are paged by the session's id, so a session without one needs a value that can be compared.
    return f"coalesce({expression}, '')" if table == SESSIONS and column.nullable else expression


def _time(table: str, name: str, source: SourceMap, columns: Mapping[str, SourceColumn]) -> str:
    if name not in columns:
        return "NULL::timestamptz"
    expression = quote(source_name(source, table, name))
    kind = columns[name].type
    if kind == BOOLEAN:
        return f"CASE WHEN {expression} THEN {_time(table, 'createdAt', source, columns)} END"
    if kind == TIMESTAMPTZ:
        return expression
    return f"({expression}{'' if kind == TIMESTAMP else '::timestamp'} AT TIME ZONE :source_zone::text)"


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()
