"""The four chatbot tables as import and export know them: their columns and what these hold."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from tenants.sources import AGENTS, CHAT_LOG, LEADS, SESSIONS, STEPS


class Kind(Enum):
    """What a column holds; the value is its type in Postgres."""

    ID = "uuid"
    TEXT = "text"
    STEP = "timestamptz[step]"
    TIME = "timestamptz"
    REAL = "double precision"
    WHOLE = "bigint"
    FLAG = "boolean"
    MONEY = "numeric"

    @property
    def sql(self) -> str:
        """The type to cast to."""
        return self.value.partition("[")[0]


class Column(msgspec.Struct, frozen=True):
    """A column; a row without a value in a required one cannot be imported."""

    name: str
    kind: Kind
    required: bool = False


_SESSION = Column("sessionId", Kind.TEXT, required=True)
_ID = Column("id", Kind.ID, required=True)

TABLES: Mapping[str, tuple[Column, ...]] = {
    SESSIONS: (
        _SESSION,
        *(Column(step, Kind.STEP) for step in STEPS),
        Column("createdAt", Kind.TIME, required=True),
        Column("updatedAt", Kind.TIME, required=True),
    ),
    LEADS: (
        _ID,
        _SESSION,
        *(Column(name, Kind.TEXT) for name in ("name", "email", "phone", "source")),
        Column("createdAt", Kind.TIME, required=True),
    ),
    CHAT_LOG: (
        _ID,
        _SESSION,
        Column("role", Kind.TEXT, required=True),
        Column("message", Kind.TEXT),
        Column("intent", Kind.TEXT),
        Column("confidence", Kind.REAL),
        Column("fallback", Kind.FLAG),
        Column("tokensIn", Kind.WHOLE),
        Column("tokensOut", Kind.WHOLE),
        Column("cost", Kind.MONEY),
        Column("latencyMs", Kind.REAL),
        Column("createdAt", Kind.TIME, required=True),
    ),
    AGENTS: (
        _ID,
        _SESSION,
        Column("agent", Kind.TEXT),
        Column("connectedAt", Kind.TIME),
        Column("disconnectedAt", Kind.TIME),
        Column("csat", Kind.REAL),
    ),
}


def key_column(table: str) -> str:
    """Name the column by which rows of a table are told apart."""
    return TABLES[table][0].name


def find_table(name: str, renamed: Mapping[str, str]) -> str | None:
    """Find the table of ours that goes by a name, its own or the one that a source gives it."""
    for table in TABLES:
        if name.lower() in {table.lower(), renamed.get(table, table).lower()}:
            return table
    return None
