"""Turn a row as a source has it into a row of ours, or say what is wrong with it. Pure.

Sources differ: databases and CSV give texts, NDJSON gives JSON's own types. Called by `importer` for each row.
"""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from asyncpg.pgproto.pgproto import UUID

from app.transfer.errors import RowRefused
from app.transfer.tables import TABLES, Column, Kind
from tenants.ids import as_uuid, hashed_uuid
from tenants.sources import SESSIONS, STEPS

MAX_SESSION_ID = 512
MAX_MONEY = Decimal(10) ** 14
_INT64 = 2**63
_TRUE, _FALSE = frozenset({"true", "t", "yes", "1"}), frozenset({"false", "f", "no", "0"})

Row = tuple[Any, ...]


def read_row(table: str, raw: Mapping[str, Any], zone: ZoneInfo) -> Row:
    """Read a row of one of the four tables.

    Shape: `raw` has our column names; what is missing is null. `zone` is that of times without one. The result
    follows the table's columns. A session's missing createdAt and updatedAt are taken from its steps, a missing id
    from the row's content, so that the same row gives the same id again.
    Errors: RowRefused.
    """
    values: dict[str, Any] = {}
    for column in TABLES[table]:
        given = raw.get(column.name)
        if given is not None:
            values[column.name] = _read_value(column, given, zone)
    if table == SESSIONS:
        _complete_session(values)
    elif "id" not in values:
        values["id"] = hashed_uuid(json.dumps([table, raw], sort_keys=True, default=str))
    for column in TABLES[table]:
        if column.required and values.get(column.name) in {None, ""}:
            raise RowRefused(f"{column.name} is missing")
    if len(values["sessionId"]) > MAX_SESSION_ID:
        raise RowRefused(f"sessionId is longer than {MAX_SESSION_ID} characters")
    return tuple(values.get(column.name) for column in TABLES[table])


def merge_sessions(rows: list[Row]) -> list[Row]:
    """Make one row of several of the same session: the earliest of each time, the latest of updatedAt.

    Shape: sorted by session, so that concurrent writers lock in one order.
    """
    merged: dict[str, Row] = {}
    for row in rows:
        known = merged.get(row[0])
        merged[row[0]] = row if known is None else _merge(known, row)
    return [merged[session_id] for session_id in sorted(merged)]


def _merge(known: Row, row: Row) -> Row:
    *earliest, latest = zip(known[1:], row[1:], strict=True)
    return (known[0], *(min(filter(None, times), default=None) for times in earliest), max(latest))


def localize(at: datetime, zone: ZoneInfo) -> datetime:
    """Say when a wall clock showed a time.

    An hour that came twice, or never, is taken as Postgres takes it: the later reading.
    """
    return max(at.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def _complete_session(values: dict[str, Any]) -> None:
    for step in STEPS:
        # A step that is only ticked happened when its session did.
        if values.get(step) is True and "createdAt" not in values:
            raise RowRefused(f"{step} says no time, and there is no createdAt")
        if isinstance(values.get(step), bool):
            values[step] = values["createdAt"] if values[step] else None
    times = [values[name] for name in (*STEPS, "createdAt", "updatedAt") if values.get(name) is not None]
    if times:
        values.setdefault("createdAt", min(times))
        values.setdefault("updatedAt", max(times))


def _read_value(column: Column, given: object, zone: ZoneInfo) -> object:
    try:
        return _READERS[column.kind](given, zone)
    except (ValueError, TypeError, OverflowError, InvalidOperation) as error:
        shown = repr(given)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."  # noqa: PLR2004 - one line
        raise RowRefused(f"{column.name} must be {_EXPECTED[column.kind]}, not {shown}") from error


def _read_text(given: object, _: ZoneInfo) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | Decimal):
        raise TypeError
    text = str(given)
    if "\0" in text:
        raise ValueError
    text.encode()  # half a surrogate pair cannot be stored
    return text


def _read_id(given: object, zone: ZoneInfo) -> UUID | None:
    text = _read_text(given, zone)
    return as_uuid(text) if text else None


def _read_time(given: object, zone: ZoneInfo) -> datetime:
    if not isinstance(given, str):
        raise TypeError
    at = datetime.fromisoformat(given.strip())
    return localize(at, zone) if at.tzinfo is None else at.astimezone(UTC)


def _read_step(given: object, zone: ZoneInfo) -> datetime | bool:
    flag = _find_flag(given)
    return _read_time(given, zone) if flag is None else flag


def _read_flag(given: object, _: ZoneInfo) -> bool:
    flag = _find_flag(given)
    if flag is None:
        raise ValueError
    return flag


def _find_flag(given: object) -> bool | None:
    if isinstance(given, bool):
        return given
    text = str(given).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _read_real(given: object, _: ZoneInfo) -> float:
    number = float(_read_number(given))
    if not math.isfinite(number):
        raise ValueError
    return number


def _read_number(given: object) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, str | int | float | Decimal):
        raise TypeError
    number = Decimal(str(given).strip())
    if not number.is_finite():
        raise ValueError
    return number


def _read_money(given: object, _: ZoneInfo) -> Decimal:
    number = _read_number(given)
    if abs(number) >= MAX_MONEY:
        raise ValueError
    return number


def _read_whole(given: object, _: ZoneInfo) -> int:
    number = _read_number(given)
    if not -_INT64 <= number < _INT64 or number != int(number):
        raise ValueError
    return int(number)


_READERS: dict[Kind, Callable[[object, ZoneInfo], object]] = {
    Kind.ID: _read_id,
    Kind.TEXT: _read_text,
    Kind.STEP: _read_step,
    Kind.TIME: _read_time,
    Kind.REAL: _read_real,
    Kind.WHOLE: _read_whole,
    Kind.FLAG: _read_flag,
    Kind.MONEY: _read_money,
}
_EXPECTED = {
    Kind.ID: "an id",
    Kind.TEXT: "a text that can be stored",
    Kind.STEP: "a time, or true or false",
    Kind.TIME: "a time such as 2026-11-01T12:00:00Z",
    Kind.REAL: "a number",
    Kind.WHOLE: "a whole number of 64 bits",
    Kind.FLAG: "true or false",
    Kind.MONEY: "an amount below 10^14",
}
