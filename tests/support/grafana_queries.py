"""What the Grafana double does with a datasource: connect as its login, expand the macros, run the SQL.

Used by `tests.support.grafana_double`. Frames have the shape that the exchanges record.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg

from tenants.clock import utc_now

TIMEOUT_S = 10
_MACRO = re.compile(r"\$__(timeFilter|timeGroupAlias|timeGroup|timeFrom|timeTo)\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NUMBERS = (int, float, Decimal)


async def find_fault(datasource: dict[str, Any]) -> str | None:
    """Connect, and return what the database says against it."""
    try:
        connection = await _connect(datasource)
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        return str(error)
    await connection.close()
    return None


async def run(body: dict[str, Any], datasources: dict[str, dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """Run every query of a request; return the answer's status and results."""
    since, until = _moment(body["from"]), _moment(body["to"])
    status, results = 200, {}
    for query in body["queries"]:
        sql = expand(query["rawSql"], since, until)
        meta = {"executedQueryString": sql}
        try:
            fields, values = await _fetch(datasources[query["datasource"]["uid"]], sql)
            result: dict[str, Any] = {"status": 200}
        except (asyncpg.PostgresError, OSError, TimeoutError) as error:
            status, fields, values = 400, [], []
            result = {"error": f"db query error: pq: {error}", "status": 500}
        schema = {"refId": query["refId"], "meta": meta, "fields": fields}
        results[query["refId"]] = result | {"frames": [{"schema": schema, "data": {"values": values}}]}
    return status, results


def expand(sql: str, since: datetime, until: datetime) -> str:
    """Expand the macros of Grafana's Postgres datasource."""
    start, end = (f"'{at.astimezone(UTC).isoformat().replace('+00:00', 'Z')}'" for at in (since, until))

    def write(match: re.Match[str]) -> str:
        name, arguments = match[1], [part.strip() for part in match[2].split(",")]
        if name == "timeFilter":
            return f"{arguments[0]} BETWEEN {start} AND {end}"
        if name in {"timeFrom", "timeTo"}:
            return start if name == "timeFrom" else end
        width = arguments[1].strip("'\"")
        seconds = int(width[:-1]) * _UNITS[width[-1]]
        group = f"floor(extract(epoch from {arguments[0]})/{seconds})*{seconds}"
        return f'{group} AS "time"' if name == "timeGroupAlias" else group

    return _MACRO.sub(write, sql)


async def _fetch(datasource: dict[str, Any], sql: str) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    connection = await _connect(datasource)
    try:
        # Several statements at once go through the simple protocol, as they do from Grafana's driver.
        if ";" in sql.strip().rstrip(";"):
            await connection.execute(sql)
            return [], []
        rows = await connection.fetch(sql)
    finally:
        await connection.close(timeout=TIMEOUT_S)
    names = list(rows[0].keys()) if rows else []
    columns = [[_plain(row[name]) for row in rows] for name in names]
    return [_field(name, column) for name, column in zip(names, columns, strict=True)], columns


async def _connect(datasource: dict[str, Any]) -> asyncpg.Connection:
    host, _, port = str(datasource["url"]).partition(":")
    return await asyncpg.connect(
        host=host, port=int(port or 5432), user=datasource["user"], database=datasource["jsonData"]["database"],
        password=datasource["secureJsonData"]["password"], timeout=TIMEOUT_S, command_timeout=TIMEOUT_S, ssl=False,
        statement_cache_size=0,
    )  # fmt: skip


def _field(name: str, column: list[Any]) -> dict[str, Any]:
    numeric = all(isinstance(value, _NUMBERS) for value in column if value is not None)
    kind, frame = ("number", "float64") if numeric else ("string", "string")
    return {"name": name, "type": kind, "typeInfo": {"frame": frame, "nullable": True}}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _moment(text: str) -> datetime:
    if text.isdigit():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    match = re.fullmatch(r"now(?:-(\d+)([smhdw]))?", text)
    assert match is not None, text
    back = int(match[1]) * _UNITS[match[2]] if match[1] else 0
    return datetime.fromtimestamp(utc_now().timestamp() - back, UTC)
