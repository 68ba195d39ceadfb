"""A PgBouncer in transaction mode before a Postgres, where the machine has one."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.embedded.ports import free_port
from tests.support.waiting import until

PROGRAM = Path("/usr/sbin/pgbouncer")
_INSTALLED = PROGRAM.is_file()
_CONFIGURATION = """
[databases]
* = host={host} port={at} auth_user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
auth_query = SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
ignore_startup_parameters = extra_float_digits
"""


class Pooler:
    """A running PgBouncer; `host` is where it listens, and `url` the target's by way of it."""

    def __init__(self, target: str, folder: Path, *, size: int) -> None:
        parts = urlsplit(target)
        port = free_port("127.0.0.1")
        self.host = f"127.0.0.1:{port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{self.host}"))
        text = _CONFIGURATION.format(
            host=parts.hostname, at=parts.port, user=parts.username, port=port, folder=folder, size=size
        )
        (folder / "pgbouncer.ini").write_text(text)
        (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
        folder.chmod(0o755)

    async def start(self) -> None:
        """Start it, on the same port as before."""
        user = "nobody" if os.getuid() == 0 else None
        self._process = subprocess.Popen(  # noqa: ASYNC220 - it is only begun here
            [PROGRAM, "-q", self._folder / "pgbouncer.ini"], user=user, stderr=subprocess.DEVNULL
        )

        async def answers() -> bool:
            try:
                await (await asyncpg.connect(self.url, statement_cache_size=0)).close()
            except (OSError, asyncpg.PostgresError):
                return False
            return True

        await until(answers, within_s=10)

    async def stop(self) -> None:
        """Stop it; all connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._process.wait)
            self._process = None


@asynccontextmanager
async def pooler_before(url: str, *, size: int) -> AsyncIterator[Pooler]:
    """Run a PgBouncer with so many connections for each login and database; skips where there is none."""
    if not _INSTALLED:
        pytest.skip(f"there is no PgBouncer at {PROGRAM}; `make tools` installs one")
    with TemporaryDirectory(prefix="grove-faults-") as name:
        pooler = Pooler(url, Path(name), size=size)
        await pooler.start()
        try:
            yield pooler
        finally:
            await pooler.stop()
