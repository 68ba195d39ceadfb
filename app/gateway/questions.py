"""Judge what staff send to `/api/ds/query`, and round its period in the client's zone.

Called by `app.gateway.gateway`. SQL is the database's to judge; what Grafana itself would make is ours: it fills gaps
in series with rows of its own making, before any limit on rows, so that a small request could fill the memory that all
clients share.
"""

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.console.dashboards.ranges import resolve_bound
from tenants.errors import InputRefused

# Points of a series that a question may have filled in; a chart shows about two thousand.
MAX_FILLED = 20_000
# What Grafana takes as a macro and its arguments, and the ones whose third argument fills.
_MACRO = re.compile(r"\$(__(?:timeGroup|unixEpochGroup)(?:Alias)?)\b\s*\(([^)]*)\)")
_NAMED = re.compile(r"\$__(?:timeGroup|unixEpochGroup)")
_INTERVAL = re.compile(r"([0-9]{1,9})(ms|[smhdwMy])")
_UNIT_MS = {
    "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "M": 2_592_000_000,
    "y": 31_536_000_000,
}  # fmt: skip
_FILL_FIELDS = ("fill", "fillInterval", "fillMode", "fillValue")
_WITH_FILL = 3


def read_questions(body: bytes, uids: frozenset[str], *, zone: ZoneInfo, now: datetime) -> bytes:
    """Return what goes on, unless it asks anything but these datasources, or for fillings without bound.

    Errors: InputRefused, with a pointer.
    """
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputRefused("The questions are not valid JSON.") from error
    queries = asked.get("queries") if isinstance(asked, dict) else None
    if not isinstance(queries, list) or not all(isinstance(query, dict) for query in queries):
        raise InputRefused("A list of questions is needed.", field="/queries")
    for position, query in enumerate(queries):
        _check(query, f"/queries/{position}", uids, asked)
    return msgspec.json.encode(asked) if _round(asked, zone, now) else body


def _round(asked: dict[str, Any], zone: ZoneInfo, now: datetime) -> bool:
    """Round bounds such as `now-29d/d` in the client's zone; Grafana's pages do so in the browser's (9.4)."""
    period = asked.get("range")
    if not isinstance(period, dict) or not isinstance(raw := period.get("raw"), dict):
        return False
    rounded = False
    for field in ("from", "to"):
        text = raw.get(field)
        if not isinstance(text, str) or "/" not in text:
            continue
        bound = resolve_bound(text, field, zone, now)
        if bound is not None:
            # Grafana's periods end with their last millisecond.
            at = bound - timedelta(milliseconds=1) if field == "to" else bound
            asked[field] = str(int(at.timestamp() * 1000))
            period[field] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            rounded = True
    return rounded


def _check(query: dict[str, Any], pointer: str, uids: frozenset[str], asked: dict[str, Any]) -> None:
    source = query.get("datasource")
    if not isinstance(source, dict) or source.get("uid") not in uids:
        raise InputRefused("There is no such datasource.", field=f"{pointer}/datasource/uid")
    for name in _FILL_FIELDS:
        if name in query:
            raise InputRefused("Gaps are filled by macros alone.", field=f"{pointer}/{name}")
    sql = query.get("rawSql", "")
    if not isinstance(sql, str):
        raise InputRefused("SQL is text.", field=f"{pointer}/rawSql")
    if _NAMED.search(sql) is not None:
        _check_filling(query, sql, f"{pointer}/rawSql", asked)


def _check_filling(query: dict[str, Any], sql: str, pointer: str, asked: dict[str, Any]) -> None:
    """Count the points that a filling makes; one that cannot be counted is refused."""
    # Without an end, arguments would be looked through to the last letter from each beginning.
    for found in _MACRO.finditer(sql, 0, sql.rfind(")") + 1):
        arguments = found[2].split(",")
        if len(arguments) < _WITH_FILL:
            continue
        step = _interval_ms(arguments[1], query)
        begin, end = _instant_ms(asked.get("from")), _instant_ms(asked.get("to"))
        if step is None or begin is None or end is None or "timeRange" in query or (end - begin) > step * MAX_FILLED:
            raise InputRefused(f"At most {MAX_FILLED} gaps may be filled: take a longer interval.", field=pointer)


def _interval_ms(text: str, query: dict[str, Any]) -> int | None:
    text = text.strip().strip("'\"").strip()
    if text in {"$__interval", "${__interval}"}:
        given = query.get("intervalMs")
        return given if isinstance(given, int) and given > 0 else None
    found = _INTERVAL.fullmatch(text)
    return None if found is None else max(int(found[1]) * _UNIT_MS[found[2]], 1)


def _instant_ms(value: object) -> int | None:
    """Read milliseconds since 1970, as Grafana's pages send them."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None
