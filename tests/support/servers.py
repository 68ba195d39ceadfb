"""Real servers for fault tests, and clients on them: `server.make_client()` → `client.load()` → `client.judge()`."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec

from app.bootstrap import bootstrap
from app.embedded.ports import free_port
from app.settings import to_environ
from app.supervisor import Supervisor
from tests.support.grove import grove_settings
from tests.support.history import Finding, History, fetch_in
from tests.support.judge import judge
from tests.support.load import Load

PATIENCE_S = 30.0


class Client(msgspec.Struct, frozen=True):
    """A client of a running server: the header of its server key, and where its tables are.

    Shape: the URLs are an administrator's; `registry_url` is that of the server's own database.
    """

    id: str
    key: dict[str, str]
    schema: str
    port: int
    registry_url: str
    database_url: str

    def load(self, *, connections: int = 8, events_per_request: int = 5, pause_s: float = 0.03) -> Load:
        """Make senders for it."""
        return Load(
            self.port, self.key, connections=connections, events_per_request=events_per_request, pause_s=pause_s
        )

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run a statement as the administrator; `{schema}` in it stands for its schema."""
        return await fetch_in(self.database_url, self.schema, sql, *args)

    async def judge(self, history: History) -> list[Finding]:
        """Compare what is stored to a history."""
        return await judge(self.database_url, self.schema, history, self.registry_url)


class Server:
    """`grove serve` as a library."""

    def __init__(self, supervisor: Supervisor) -> None:
        assert supervisor.platform_key is not None
        self.settings = supervisor.settings
        self.port = supervisor.settings.port
        self.database_url = supervisor.settings.main_url
        self.engines = supervisor.engines
        self._platform_key = supervisor.platform_key

    async def make_client(self, **wanted: Any) -> Client:
        """Onboard a client."""
        return await make_client(self.port, self._platform_key, self.database_url, **wanted)

    @property
    def web_pids(self) -> list[int]:
        """The web server's process and those that it started."""
        return _web_pids_of(os.getpid(), self.port)

    @property
    def worker_pids(self) -> list[int]:
        """The processes that do jobs."""
        return [pid for pid in _children_of(os.getpid()) if _words_of(pid)[-3:-1] == [b"app", b"worker"]]

    async def await_database(self) -> float:
        """Wait until the database lets us in, and return when it did (monotonic)."""

        async def answers() -> bool:
            try:
                connection = await asyncpg.connect(self.database_url, timeout=1)
            except (OSError, asyncpg.PostgresError):
                return False
            await connection.close()
            return True

        await await_that(answers)
        return time.monotonic()


class Program(msgspec.Struct, frozen=True):
    """`grove serve` in a process of its own, on a database that is not its own."""

    process: asyncio.subprocess.Process
    port: int
    database_url: str
    platform_key: str

    @property
    def web_pids(self) -> list[int]:
        """The web server's process and those that it started."""
        return _web_pids_of(self.process.pid, self.port)

    async def await_closed(self) -> None:
        """Wait until it takes no new connections."""

        async def refuses() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return True
            writer.close()
            return False

        await await_that(refuses)

    async def await_gone(self) -> None:
        """Wait until none of its processes is left, by what they have open in the database."""
        sql = (
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'grove' "
            "AND backend_type = 'client backend'"
        )

        async def nobody() -> bool:
            return not await fetch_in(self.database_url, "", sql)

        await await_that(nobody)

    async def make_client(self, **wanted: Any) -> Client:
        """Onboard a client."""
        return await make_client(self.port, self.platform_key, self.database_url, **wanted)


@asynccontextmanager
async def run_program(database_url: str, folder: Path, **changes: Any) -> AsyncIterator[Program]:
    """Run `grove serve` until the end, or until it ends by itself."""
    settings = grove_settings(database_url, data_dir=folder, port=free_port(), log_level="warning", **changes)
    prepared = await bootstrap(settings)
    assert prepared.platform_key is not None
    environ = {key: text for key, text in os.environ.items() if not key.startswith("GROVE_")}  # noqa: TID251 - handed on
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "serve", env=environ | to_environ(settings), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await await_that(lambda: _is_ready(settings.port))
        yield Program(process, settings.port, database_url, prepared.platform_key)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _is_ready(port: int) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"http://127.0.0.1:{port}/health/ready")).is_success
        except httpx.HTTPError:
            return False


async def make_client(port: int, platform_key: str, database_url: str, **wanted: Any) -> Client:
    """Onboard a client of a name of its own."""
    client_id = f"c{secrets.token_hex(4)}"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S + 5) as http:
        answer = await http.post(
            "/api/v1/clients",
            json={"id": client_id, "name": client_id, **wanted},
            headers={"Authorization": f"Bearer {platform_key}", "Prefer": f"wait={PATIENCE_S:.0f}"},
        )
    assert answer.status_code == 201, answer.text
    key = {"Authorization": f"Bearer {answer.json()['keys']['server']}"}
    (row,) = await fetch_in(
        database_url, "", "SELECT schema_name FROM grove.placements WHERE client_id = $1", client_id
    )
    return Client(client_id, key, row["schema_name"], port, database_url, database_url)


async def find_backend(database_url: str, state: str) -> int:
    """Wait until a backend is in a state (a condition on pg_stat_activity), and return its process id."""
    found: list[int] = []
    sql = f"SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {state}"  # noqa: S608 - of our own tests

    async def is_there() -> bool:
        found[:] = [row["pid"] for row in await fetch_in(database_url, "", sql)]
        return bool(found)

    await await_that(is_there)
    return found[0]


def resident_kb(pids: list[int]) -> int:
    """Read how much memory processes hold."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


async def await_that(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)


def _web_pids_of(supervisor: int, port: int) -> list[int]:
    mains = [pid for pid in _children_of(supervisor) if _serves(pid, port)]
    return [*mains, *(child for main in mains for child in _children_of(main))]


def _children_of(pid: int) -> list[int]:
    return [child for child, parent in _processes() if parent == pid]


def _processes() -> Iterator[tuple[int, int]]:
    """List all processes with their parents."""
    for entry in Path("/proc").iterdir():
        try:
            text = (entry / "stat").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if text:
            yield int(entry.name), int(text.rpartition(")")[2].split()[1])


def _serves(pid: int, port: int) -> bool:
    words = _words_of(pid)
    return b"granian" in words and str(port).encode() in words


def _words_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
