"""A web process may open no more files: who is connected is served, who is not waits or is refused, and it recovers."""

import asyncio
import resource
from pathlib import Path
from uuid import uuid4

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import own_database
from tests.support.history import History
from tests.support.load import Connection, ConnectionEnded, make_events
from tests.support.servers import Client, run_program

pytestmark = pytest.mark.fault(33)

NEWCOMERS = 60
SPARE = 3


class Newcomer:
    """Somebody who connects, sends once, and stays."""

    def __init__(self, client: Client) -> None:
        self.history = History()
        self._client = client
        self._connection: Connection | None = None

    async def come(self) -> int:
        """Return the status, or 0 if the connection was refused or closed."""
        attempt = self.history.begin(self._client.key, make_events([uuid4()]))
        try:
            self._connection = await Connection.open(self._client.port)
            answer = await self._connection.post(attempt.body, self._client.key)
        except (OSError, ConnectionEnded):
            attempt.end(0)
        else:
            attempt.end(answer.status, answer.body)
        return attempt.status

    async def leave(self) -> None:
        """Hang up."""
        if self._connection is not None:
            await self._connection.close()


async def test_a_web_process_without_files_serves_whom_it_knows_and_takes_others_when_it_can(
    durable_postgres: EmbeddedPostgres, folder: Path
) -> None:
    async with own_database(durable_postgres.url) as url, run_program(url, folder / "data") as program:
        client = await program.make_client()
        newcomers = [Newcomer(client) for _ in range(NEWCOMERS)]
        web = program.web_pids[-1]
        limits = resource.prlimit(web, resource.RLIMIT_NOFILE)
        async with client.load(connections=4) as load:
            await load.await_acked(50)
            resource.prlimit(web, resource.RLIMIT_NOFILE, (open_files(web) + SPARE, limits[1]))
            coming = [asyncio.create_task(newcomer.come()) for newcomer in newcomers]
            await load.await_acked(100)
            assert sum(not task.done() or task.result() == 0 for task in coming) >= NEWCOMERS - SPARE
            resource.prlimit(web, resource.RLIMIT_NOFILE, limits)
            assert set(await asyncio.gather(*coming)) <= {202, 503, 0}
            await load.await_acked(50)
        again = Newcomer(client)
        assert await again.come() == 202
        assert {outcome.status for outcome in load.outcomes} <= {202, 503}
        assert load.cut_answers == []
        assert program.web_pids[-1] == web
        history = load.history
        for newcomer in (*newcomers, again):
            await newcomer.leave()
            history = history | newcomer.history
        assert await client.judge(history) == []


def open_files(pid: int) -> int:
    """Count what a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
