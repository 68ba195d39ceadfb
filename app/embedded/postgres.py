"""A real Postgres on loopback, from the wheel or from a folder of the machine.

Called by `engines` and by the tests. The server is started in the foreground as our own child, so that its death is
seen and reaped at once; one that an earlier Grove left running is adopted instead.
"""

import signal
import time
from pathlib import Path

import psycopg
from psycopg import errors as refusals

from app.embedded.account import Account, ensure_folder, find_account
from app.embedded.cluster import SUPERUSER, ensure_cluster, wheel_programs
from app.embedded.errors import EngineFailed
from app.embedded.logfile import open_log, tail_of
from app.embedded.ports import LOOPBACK, candidate_ports
from app.embedded.process import POLL_S, EngineProcess, end_all, find_process, start_process
from app.embedded.sockets import ensure_socket_folder

DATABASE = "grove"

_PROGRAMS = frozenset({"postgres", "postmaster"})
_SOCKET_NAME = ".s.PGSQL.65535"
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 30.0
_PID_LINE, _PORT_LINE, _SOCKET_LINE = 0, 3, 4

# Small enough for a laptop. A failed statement or its row never reaches the log: it may hold a visitor's data.
_SETTINGS = {
    "shared_buffers": "128MB",
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
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One Postgres server with its folder, port and password.

    Shape: `data_dir` holds the cluster, the log, the socket and the port of last time.
    """

    def __init__(
        self,
        data_dir: Path,
        password: str,
        *,
        bin_dir: Path | None = None,
        durable: bool = True,
        port: int | None = None,
        max_connections: int = 200,
    ) -> None:
        self.folder = data_dir.resolve()
        self.socket_dir = self.folder
        self._password = password
        self._programs = (bin_dir or wheel_programs()).resolve()
        self._durable = durable
        self._hint = port
        self._max_connections = max_connections
        self._port: int | None = None
        self._process: EngineProcess | None = None

    @property
    def data(self) -> Path:
        """The folder that Postgres itself calls its data directory."""
        return self.folder / "data"

    @property
    def running(self) -> bool:
        """Whether the postmaster lives."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """The postmaster's process id.

        Errors: EngineFailed, before the first start.
        """
        if self._process is None:
            raise EngineFailed("Postgres", "it has not been started.")
        return self._process.pid

    @property
    def url(self) -> str:
        """Where the application's database is.

        Errors: EngineFailed, before the first start.
        """
        if self._port is None:
            raise EngineFailed("Postgres", "it has not been started.")
        return f"postgresql://{SUPERUSER}:{self._password}@{LOOPBACK}:{self._port}/{DATABASE}"

    def start(self) -> None:
        """Start the server or adopt the one that still runs; returns when the application's database answers.

        A server that died is started again on its old port, because everybody knows that one.
        Errors: EngineError.
        """
        if self.running:
            return
        account = find_account(self.folder)
        ensure_folder(self.folder, account)
        if not self.attach():
            self._clear()
            ensure_cluster(self.data, self._programs, self._password, account, durable=self._durable)
            self._launch(account)
        self._ensure_database()

    def attach(self) -> bool:
        """Take over the server that runs on our folder; False if there is none.

        Errors: EngineFailed, if it runs and does not let us in.
        """
        known = self._port
        if not self._find():
            return False
        try:
            self.wait_ready()
        except EngineFailed:
            if self.running:
                raise
            self._port = known  # it was on its way out
            return False
        return True

    def wait_ready(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Wait until the server lets us in, be it after crash recovery.

        Errors: EngineFailed, with the reason from its log.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._connect("postgres").close()
            except psycopg.OperationalError as error:
                self._check_hope(error, deadline)
                time.sleep(POLL_S)
            else:
                return

    def stop(self) -> None:
        """Stop the server; whoever is connected is sent away."""
        if self._process is not None:
            first = signal.SIGINT if self._durable else signal.SIGQUIT
            self._process.end(first, signal.SIGQUIT, patience_s=_STOP_TIMEOUT_S)
            self._process = None
        self._port = None

    def kill(self) -> None:
        """Kill the postmaster as a crash would, and reap it."""
        if self._process is not None:
            self._process.end(patience_s=_STOP_TIMEOUT_S)

    def _clear(self) -> None:
        """Clear away what a dead server has left: its lock may name a zombie, and Postgres would obey it."""
        end_all(self.data, _PROGRAMS)
        self._lock.unlink(missing_ok=True)

    def _find(self) -> bool:
        lines = self._lock.read_text().splitlines() if self._lock.exists() else []
        if len(lines) <= _SOCKET_LINE:
            return False
        self._process = find_process(int(lines[_PID_LINE]), self.data, _PROGRAMS)
        if self._process is None:
            return False
        self._port, self.socket_dir = int(lines[_PORT_LINE]), Path(lines[_SOCKET_LINE])
        return True

    def _launch(self, account: Account | None) -> None:
        self.socket_dir = ensure_socket_folder(self.folder, _SOCKET_NAME, account)
        for left in self.socket_dir.glob(".s.PGSQL.*"):
            left.unlink()  # the lock of a socket names a process too, maybe a zombie
        memory = self.folder / "port"
        ports = candidate_ports(memory, self._hint) if self._port is None else iter([self._port])
        failure = EngineFailed("Postgres", "no port is free.")
        for port in ports:
            try:
                self._launch_on(port, account)
            except EngineFailed as error:
                failure = error
                if "Address already in use" not in error.detail:
                    raise
            else:
                memory.write_text(f"{port}\n")
                return
        raise failure

    def _launch_on(self, port: int, account: Account | None) -> None:
        settings = _SETTINGS | ({} if self._durable else _NOT_DURABLE)
        settings |= {
            "listen_addresses": LOOPBACK,
            "port": str(port),
            "unix_socket_directories": str(self.socket_dir),
            "max_connections": str(self._max_connections),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with open_log(self._log) as log:
            command = [str(self._programs / "postgres"), "-D", str(self.data), *options]
            self._process = start_process(command, self.data, log, account)
        known, self._port = self._port, port
        try:
            self.wait_ready()
        except EngineFailed:
            self._port = known
            raise

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

    def _check_hope(self, error: psycopg.OperationalError, deadline: float) -> None:
        if isinstance(error, refusals.InvalidPassword) or "password authentication failed" in str(error):
            detail = f"the password in secrets.json is not the one of {self.folder}."
            raise EngineFailed("Postgres", detail) from error
        if not self.running:
            raise EngineFailed("Postgres", f"it ended at once.\n{tail_of(self._log)}") from error
        if time.monotonic() > deadline:
            raise EngineFailed("Postgres", f"it does not let us in.\n{tail_of(self._log)}") from error

    @property
    def _lock(self) -> Path:
        return self.data / "postmaster.pid"

    @property
    def _log(self) -> Path:
        return self.folder / "postgres.log"
