"""What is measured: a real server as `grove serve` runs it, its durable Postgres, and the load generator beside them.

Used by `bench.rounds`.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self, cast

import asyncpg
import httpx
import msgspec

from app.embedded.cluster import wheel_programs
from app.settings import Settings
from app.supervisor import Supervisor
from bench.bare import WAITS_PATH
from bench.cpu import children_of, cpu_seconds, find_child
from bench.events import event_ids
from bench.load import Job, Result
from tenants.ids import quote

# Pieces of the log, 16 MB each, that are made beforehand.
LOG_PIECES = 48
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
SETTLE_S = 30


class LoadProcess:
    """The load generator's process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bench.load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        self._input, self._output = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)

    def prepare(self, job: Job) -> None:
        """Have it make a job's requests and open its connections."""
        self._say(msgspec.json.encode(job).decode())
        self._output.readline()

    def go(self) -> Result:
        """Have it send them all."""
        self._say("")
        return msgspec.json.decode(self._output.readline(), type=Result)

    def _say(self, line: str) -> None:
        self._input.write(line + "\n")
        self._input.flush()

    def __enter__(self) -> Self:
        """Hand itself out."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._input.close()
        self._process.wait()


class Stand:
    """A running server with a client that takes events, and two whose tables the limits are measured in."""

    def __init__(self, supervisor: Supervisor, load: LoadProcess, others: Collection[int]) -> None:
        self.url = supervisor.settings.main_url
        self.port = supervisor.settings.port
        self.pgbench = (supervisor.settings.postgres_bin or wheel_programs()) / "pgbench"
        self.load = load
        self._supervisor = supervisor
        self.web = find_child(own_pid(), "granian", besides=others)
        keys = self._make_client("taker")
        self.key, self.browser_key = keys["server"], keys["browser"]
        self._make_client("copier")
        self._make_client("inserter")

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds that the web process and Postgres have used so far."""
        postgres = self._supervisor.engines.postgres
        return cpu_seconds(self.web), cpu_seconds(postgres.pid) if postgres is not None else 0.0

    def waits_ms(self) -> list[float]:
        """Return how long submissions waited for their flush since this was asked last."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}{WAITS_PATH}").raise_for_status()
        return msgspec.json.decode(answer.content, type=list[float])

    async def schemas(self) -> dict[str, str]:
        """Map each client to its schema."""
        rows = await self._fetch("SELECT client_id, schema_name FROM grove.placements")
        return {row["client_id"]: row["schema_name"] for row in rows}

    async def check_durable(self) -> None:
        """Make sure that a commit here is a commit."""
        for name, wanted in DURABLE.items():
            (row,) = await self._fetch(f"SHOW {name}")
            if row[0] != wanted:
                message = f"{name} is {row[0]}, so nothing measured here would count"
                raise RuntimeError(message)

    async def age_log(self) -> None:
        """Leave Postgres with pieces of its log to use again, as after some checkpoints.

        A new server makes each piece while the commit that needs it waits for some 60 ms.
        """
        connection = await asyncpg.connect(self.url)
        try:
            for _ in range(LOG_PIECES):
                await connection.execute("SELECT pg_logical_emit_message(true, '', '')")
                await connection.execute("SELECT pg_switch_wal()")
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()

    async def count_missing(self, schema: str, jobs: list[tuple[Job, Result]]) -> dict[str, int]:
        """Compare what was acknowledged to what is there."""
        acked = []
        for job, result in jobs:
            ids, short = event_ids(job.seed, job.requests * job.events_per_request), set(result.short)
            acked += [found for at, found in enumerate(ids) if at // job.events_per_request not in short]
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute("CREATE TEMP TABLE acked (id uuid)")
            await connection.copy_records_to_table("acked", records=[(found,) for found in acked])
            row = await connection.fetchrow(
                f"SELECT count(*) FILTER (WHERE n IS NULL) AS missing, count(*) FILTER (WHERE n > 1) AS doubled "  # noqa: S608
                f"FROM acked LEFT JOIN (SELECT event_id, count(*) AS n FROM {quote(schema)}.events GROUP BY 1) AS kept "
                "ON kept.event_id = acked.id"
            )
        finally:
            await connection.close()
        return {"acked": len(acked), "missing": row["missing"], "doubled": row["doubled"]}

    async def _fetch(self, sql: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return cast("list[asyncpg.Record]", await connection.fetch(sql))
        finally:
            await connection.close()

    def _make_client(self, client_id: str) -> dict[str, str]:
        answer = httpx.post(
            f"{self._supervisor.url}/api/v1/clients",
            json={"id": client_id, "name": client_id.title()},
            headers={"Authorization": f"Bearer {self._supervisor.platform_key}", "Prefer": f"wait={SETTLE_S}"},
            timeout=SETTLE_S + 5,
        )
        answer.raise_for_status()
        keys: dict[str, str] = json.loads(answer.content)["keys"]
        return keys


@contextmanager
def open_stand(folder: Path, *, web_target: str = "bench.bare:create", web_processes: int = 1) -> Iterator[Stand]:
    """Start everything in a folder and stop it in the end; `web_target` makes the web process's application."""
    settings = Settings(data_dir=folder, port=0, log_level="warning", web_processes=web_processes)
    others = children_of(own_pid())
    with LoadProcess() as load, Supervisor(settings, quiet=True, web_target=web_target) as supervisor:
        yield Stand(supervisor, load, others)


def own_pid() -> int:
    """Return the process id as /proc has it."""
    return int(Path("/proc/self").readlink().name)
