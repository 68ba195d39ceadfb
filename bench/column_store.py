"""The same events in ClickHouse's engine, which reads them raw: what a column store takes for the same questions."""

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from bench.column_panels import write_panels
from tenants.ids import quote

# The columns with their types there, and what Postgres writes into them.
_TAKEN = {
    "name LowCardinality(String)": "name",
    "occurred_at DateTime64(6, 'UTC')": "extract(epoch FROM occurred_at)::numeric(20, 6)",
    "session_id String": "session_id",
    "visitor_id String": "visitor_id",
    "page_path LowCardinality(String)": "page_path",
    "detail LowCardinality(String)": "{functions}event_detail(name, page_path, properties)",
    "country LowCardinality(String)": "country",
    "device LowCardinality(String)": "device",
    "browser LowCardinality(String)": "browser",
    "source LowCardinality(String)": "coalesce(utm_source, referrer, 'direct')",
    "order_id String": "properties ->> 'order_id'",
    "method LowCardinality(String)": "properties ->> 'payment_method'",
    "amount Decimal(20, 6)": "coalesce(amount, 0)",
    "currency LowCardinality(String)": "currency",
    "items Array(Tuple(String, Float64, Float64))": "CASE WHEN name = 'purchase' THEN coalesce((SELECT '[' || "
    "string_agg(format('(''%s'',%s,%s)', i.product, i.units, coalesce(i.price, 0)), ',') || ']' "
    "FROM {functions}order_items(properties -> 'items') AS i), '[]') ELSE '[]' END",
}


def find_engine() -> "Callable[[Path], ColumnStore] | None":
    """Return how to open the engine, if it is installed."""
    return None if importlib.util.find_spec("chdb") is None else ColumnStore


class ColumnStore:
    """One table of events, sorted by day and name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._session: Any = importlib.import_module("chdb.session").Session(str(folder / "engine"))

    async def fill(self, url: str, schema: str) -> None:
        """Take over a client's events."""
        file = self._folder / "events.csv"
        connection = await asyncpg.connect(url)
        try:
            taken = ", ".join(_TAKEN.values()).format(functions=f"{quote(schema)}.{schema}_")
            await connection.copy_from_query(
                f"SELECT {taken} FROM {quote(schema)}.events",
                output=str(file),
                format="csv",
            )
        finally:
            await connection.close()
        self._ask("CREATE DATABASE d ENGINE = Atomic")
        self._ask(
            f"CREATE TABLE d.events ({', '.join(_TAKEN)}) ENGINE = MergeTree "
            "ORDER BY (toDate(occurred_at), name, visitor_id)"
        )
        self._ask(f"INSERT INTO d.events SELECT * FROM file('{file}', CSV)")
        self._ask("OPTIMIZE TABLE d.events FINAL")
        file.unlink()

    def questions(
        self, now: datetime, since: Mapping[int, datetime], zone: str, steps: Sequence[str]
    ) -> Mapping[str, Callable[[], Awaitable[Any]]]:
        """Write Grove's questions and panels for the engine."""
        last = {days: self._range(first, now) for days, first in since.items()}
        funnel = ", ".join(f"name = '{step}'" for step in steps)
        names = ", ".join(f"'{step}'" for step in steps)
        asked = {
            "totals of 30 days with visitors": "SELECT count(), countIf(name = 'page_view'), uniqExact(visitor_id), "
            f"uniqExact(session_id) FROM d.events WHERE {last[30]}",
            "daily series of 90 days with visitors": f"SELECT toDate(occurred_at, '{zone}') AS day, count(), "
            f"countIf(name = 'page_view'), uniqExact(visitor_id) FROM d.events WHERE {last[90]} GROUP BY day ORDER BY day",
            "top 10 pages of 30 days with visitors": "SELECT page_path, count() AS n, uniqExact(visitor_id) FROM d.events "
            f"WHERE {last[30]} AND name = 'page_view' GROUP BY page_path ORDER BY n DESC, page_path LIMIT 10",
            "3-step ordered funnel of 30 days": "SELECT countIf(level >= 1), countIf(level >= 2), countIf(level >= 3) "
            f"FROM (SELECT windowFunnel(2592000000000, 'strict_increase')(toUInt64(toUnixTimestamp64Micro(occurred_at)), {funnel}) AS level "
            f"FROM d.events WHERE {last[30]} AND name IN ({names}) GROUP BY visitor_id)",
            "weekly retention over 8 weeks": "WITH met AS (SELECT DISTINCT visitor_id, "
            f"toMonday(toDate(occurred_at, '{zone}')) AS week FROM d.events WHERE {last[56]}) "
            "SELECT a.week, b.week, count() FROM met AS a JOIN met AS b ON a.visitor_id = b.visitor_id "
            "WHERE b.week >= a.week GROUP BY a.week, b.week",
            "visitors of the last 5 minutes": "SELECT uniqExact(visitor_id) FROM d.events WHERE "
            + self._range(now - timedelta(minutes=5), now),
            **write_panels(last[30], zone),
        }
        return {name: lambda sql=sql: asyncio.to_thread(self._ask, sql) for name, sql in asked.items()}  # type: ignore[misc]

    def _range(self, since: datetime, until: datetime) -> str:
        first, last = (f"fromUnixTimestamp64Micro({int(at.timestamp() * 1_000_000)})" for at in (since, until))
        return f"occurred_at >= {first} AND occurred_at < {last}"

    def _ask(self, sql: str) -> Any:
        return self._session.query(sql, "TabSeparated")
