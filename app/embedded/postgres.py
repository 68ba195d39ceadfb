"""A real Postgres on loopback, from the wheel or from a folder of the machine.

Called by `engines` and by the tests.
"""

import signal
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg import errors as refusals

from app.embedded.account import Account
from app.embedded.cluster import SUPERUSER, ensure_cluster, wheel_programs
from app.embedded.errors import EngineFailed
from app.embedded.keeper import Keeper
from app.embedded.memory import memory_mb
from app.embedded.ports import LOOPBACK
from app.embedded.process import Launch
from app.embedded.sockets import ensure_socket_folder, find_socket_folder

DATABASE = "grove"

_SOCKET_NAME = ".s.PGSQL.65535"

# A failed statement or its row never reaches the log: it may hold a visitor's data.
_SETTINGS = {
    "maintenance_work_mem": "64MB",
    "wal_level": "logical",
    "max_locks_per_transaction": "256",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
# Checkpoints that are rare under load: after each, every page that is touched goes to the log whole. What one leaves of
# the log is used again, up to so much: to make another piece of it holds every commit up for some 60 ms.
_DURABLE = {"max_wal_size": "4GB", "min_wal_size": "1GB", "checkpoint_timeout": "15min"}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# A share of the machine's memory that leaves a laptop its own; the index of a client's event ids should fit.
_BUFFERS_SHARE = 16
_LEAST_BUFFERS_MB, _MOST_BUFFERS_MB = 128, 2_048


def size_buffers(memory_mb: int) -> int:
    """Choose how many MB Postgres shares between its processes."""
    return min(max(memory_mb // _BUFFERS_SHARE, _LEAST_BUFFERS_MB), _MOST_BUFFERS_MB)


class EmbeddedPostgres(Keeper):
    """One Postgres server with its folder, port and password.

    Shape: `data` is what Postgres itself calls its data directory.
    """

    NAME: ClassVar[str] = "Postgres"
    PROGRAMS: ClassVar[frozenset[str]] = frozenset({"postgres", "postmaster"})
    START_TIMEOUT_S: ClassVar[float] = 120.0
    STOP_TIMEOUT_S: ClassVar[float] = 30.0

    def __init__(
        self,
        folder: Path,
        password: str,
        *,
        bin_dir: Path | None = None,
        durable: bool = True,
        port: int | None = None,
        max_connections: int = 200,
    ) -> None:
        super().__init__(folder, port=port)
        self._password = password
        self._programs = (bin_dir or wheel_programs()).resolve()
        self._durable = durable
        self._max_connections = max_connections

    @property
    def socket_dir(self) -> Path:
        """The folder of its socket."""
        return find_socket_folder(self.folder, _SOCKET_NAME)

    @property
    def url(self) -> str:
        """Where the application's database is.

        Errors: EngineFailed, before the first start.
        """
        return f"postgresql://{SUPERUSER}:{self._password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Start the server or adopt it; returns when the application's database answers.

        Errors: EngineError.
        """
        super().start()
        self._ensure_database()

    def stop(self) -> None:
        """Stop the server; whoever is connected is sent away."""
        self._end(signal.SIGINT if self._durable else signal.SIGQUIT, signal.SIGQUIT)

    def _prepare(self, account: Account | None) -> None:
        # The locks that a dead server has left may name a zombie, and Postgres would obey them.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        ensure_cluster(self.data, self._programs, self._password, account, durable=self._durable)
        ensure_socket_folder(self.socket_dir, account)
        for left in self.socket_dir.glob(".s.PGSQL.*"):
            left.unlink()

    def _command(self, port: int) -> Launch:
        settings = _SETTINGS | (_DURABLE if self._durable else _NOT_DURABLE)
        settings |= {
            "shared_buffers": f"{size_buffers(memory_mb()) if self._durable else _LEAST_BUFFERS_MB}MB",
            "listen_addresses": LOOPBACK,
            "port": str(port),
            "unix_socket_directories": str(self.socket_dir),
            "max_connections": str(self._max_connections),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Launch([str(self._programs / "postgres"), "-D", str(self.data), *options])

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError as error:
            if isinstance(error, refusals.InvalidPassword) or "password authentication failed" in str(error):
                raise self._wrong_password() from error
            return False
        return True

    def _ensure_database(self) -> None:
        try:
            with self._connect("postgres") as connection:
                if connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount == 0:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as error:
            raise EngineFailed("Postgres", f"its database could not be made: {error}") from error

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=LOOPBACK,
            port=self._port,
            user=SUPERUSER,
            password=self._password,
            dbname=database,
            sslmode="disable",
            connect_timeout=10,
            autocommit=True,
        )
