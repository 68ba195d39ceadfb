"""What the same Postgres does when nothing stands before it: raw binary `COPY`, and durable inserts by `pgbench`.

Both write into `events` of a client of their own, whose tables and indexes are those of every client.
"""

import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import EVENT_COLUMNS, Arrival
from app.ingest.steps import read_event
from tenants.ids import quote

PGBENCH_CLIENTS = 16
PGBENCH_S = 3
_RATE = re.compile(r"tps = ([0-9.]+)")
_LOGGED_US = 2  # of a transaction's line: client, number, microseconds since it was due, …
_KEY_ID = "'00000000-0000-4000-8000-000000000001'"

Record = list[Any]


def make_records(events: Sequence[bytes], now: datetime) -> list[Record]:
    """Take events through the product's own steps, to the very rows that it would copy."""
    arrival = Arrival(
        key_id=UUID(_KEY_ID.strip("'")), received_at=now, oldest=now - timedelta(days=730), accepts_chat=True
    )
    return [read_event(event, index, arrival).record for index, event in enumerate(events)]


async def measure_copy(url: str, schema: str, records: Sequence[Record], batch: int) -> float:
    """Copy rows over one connection, each batch its own commit; return rows per second."""
    connection = await asyncpg.connect(url)
    try:
        started = time.perf_counter()
        for start in range(0, len(records), batch):
            await connection.copy_records_to_table(
                "events", schema_name=schema, columns=EVENT_COLUMNS, records=records[start : start + batch]
            )
        return len(records) / (time.perf_counter() - started)
    finally:
        await connection.close()


def measure_inserts(pgbench: Path, url: str, schema: str) -> float:
    """Insert single rows from 16 clients, each its own durable commit; return rows per second."""
    with tempfile.TemporaryDirectory() as folder:
        said = _run_pgbench(pgbench, url, schema, Path(folder), "-T", PGBENCH_S)
    found = _RATE.search(said)
    if found is None:
        message = f"pgbench said: {said}"
        raise ValueError(message)
    return float(found[1])


def measure_insert_tail(pgbench: Path, url: str, schema: str, *, rate: float, seconds: int) -> list[float]:
    """Insert rows when they are due, so many per second; return in order how many milliseconds each took since then."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        _run_pgbench(pgbench, url, schema, Path(folder), "-T", seconds, "-R", round(rate), "-l", "--log-prefix", log)
        lines = [line for part in Path(folder).glob("log.*") for line in part.read_text().splitlines()]
    return sorted(int(line.split()[_LOGGED_US]) / 1000 for line in lines)


def _run_pgbench(pgbench: Path, url: str, schema: str, folder: Path, *options: object) -> str:
    """Run inserts from 16 clients and return what was printed."""
    script, parts = folder / "insert.sql", urlsplit(url)
    script.write_text(_insert_statement(schema))
    server = ("-h", parts.hostname, "-p", parts.port, "-U", parts.username)
    clients = ("-c", PGBENCH_CLIENTS, "-j", 2, "-n", "-M", "prepared", "-f", script)
    finished = subprocess.run(  # noqa: S603 - the benchmark that comes with Postgres
        [str(word) for word in (pgbench, *server, *clients, *options, parts.path.lstrip("/"))],
        env={"PGPASSWORD": parts.password or ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return finished.stdout


def _insert_statement(schema: str) -> str:
    values = {
        "event_id": "gen_random_uuid()",
        "name": "'page_view'",
        "occurred_at": "now()",
        "received_at": "now()",
        "session_id": "'s-' || :session",
        "visitor_id": "'v-' || :visitor",
        "page_url": "'https://birch.example/pricing?utm_source=newsletter&utm_medium=email'",
        "page_path": "'/pricing'",
        "page_title": "'Birch Studio'",
        "referrer": "'https://www.google.com/'",
        "utm_source": "'newsletter'",
        "utm_medium": "'email'",
        "device": "'desktop'",
        "browser": "'Chrome'",
        "os": "'Windows'",
        "country": "'DE'",
        "properties": """'{"step": 3, "scroll": 27, "theme": "dark"}'""",
        "key_id": _KEY_ID,
    }
    columns, expressions = ", ".join(values), ", ".join(values.values())
    return (
        "\\set session random(1, 100000)\n\\set visitor random(1, 5000)\n"
        f"INSERT INTO {quote(schema)}.events ({columns}) VALUES ({expressions});\n"
    )
