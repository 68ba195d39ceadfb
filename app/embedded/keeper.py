"""Keeps one engine running in a folder of its own: starts it, finds again what still runs, remembers its port, ends it.

`postgres`, `valkey` and `grafana` add what is particular to them; `engines` starts, watches and stops them together. An
engine runs in the foreground as our own child, so that its death is seen and reaped at once.
"""

import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from app.embedded.account import Account, ensure_folder, find_account
from app.embedded.errors import EngineFailed
from app.embedded.logfile import open_log, tail_of
from app.embedded.ports import candidate_ports, remembered_number
from app.embedded.process import POLL_S, EngineProcess, Launch, end_all, find_process, start_process

_PORT_TAKEN = "address already in use"


class Keeper(ABC):
    """One engine with its folder, port and process.

    Shape: `folder` holds the engine's data, its log, and the port and process id of last time.
    """

    NAME: ClassVar[str]
    PROGRAMS: ClassVar[frozenset[str]]
    START_TIMEOUT_S: ClassVar[float] = 60.0
    STOP_TIMEOUT_S: ClassVar[float] = 10.0

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self._hint = port
        self._port: int | None = None
        self._process: EngineProcess | None = None

    @property
    def data(self) -> Path:
        """The folder in which the engine works."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the engine says."""
        return self.folder / f"{self.NAME.lower()}.log"

    @property
    def running(self) -> bool:
        """Whether the engine lives."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """The engine's process id.

        Errors: EngineFailed, before the first start.
        """
        if self._process is None:
            raise EngineFailed(self.NAME, "it has not been started.")
        return self._process.pid

    @property
    def port(self) -> int:
        """Where the engine listens on loopback.

        Errors: EngineFailed, before the first start.
        """
        if self._port is None:
            raise EngineFailed(self.NAME, "it has not been started.")
        return self._port

    def start(self) -> None:
        """Start the engine or adopt the one that still runs; returns when it answers.

        An engine that died is started again on its old port, because everybody knows that one.
        Errors: EngineError.
        """
        if self.running:
            return
        account = find_account(self.folder)
        ensure_folder(self.folder, account)
        if not self.attach():
            end_all(self.data, self.PROGRAMS)
            self._prepare(account)
            self._launch(account)

    def attach(self) -> bool:
        """Take over the engine that runs in our folder; False if there is none.

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

    def wait_ready(self) -> None:
        """Wait until the engine answers, be it after recovery from a crash.

        Errors: EngineFailed, with the reason from its log.
        """
        deadline = time.monotonic() + self.START_TIMEOUT_S
        while not self._answers():
            if not self.running:
                raise EngineFailed(self.NAME, f"it ended at once.\n{tail_of(self.log)}")
            if time.monotonic() > deadline:
                raise EngineFailed(self.NAME, f"it does not answer.\n{tail_of(self.log)}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop the engine in order; what it was told is on disk then."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the engine as a crash would, and reap it."""
        if self._process is not None:
            self._process.end(patience_s=self.STOP_TIMEOUT_S)

    def _end(self, *signals: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(*signals, patience_s=self.STOP_TIMEOUT_S)
            self._process = None
        self._port = None

    @abstractmethod
    def _prepare(self, account: Account | None) -> None:
        """Make what has to be there before a start; nothing of the engine runs."""

    @abstractmethod
    def _command(self, port: int) -> Launch:
        """Say how the engine is started on a port."""

    @abstractmethod
    def _answers(self) -> bool:
        """Ask whether the engine is ready for us.

        Errors: EngineFailed, if it never will be.
        """

    def _wrong_password(self) -> EngineFailed:
        return EngineFailed(self.NAME, f"the password in secrets.json is not the one of {self.folder}.")

    def _find(self) -> bool:
        port, pid = remembered_number(self._memory), remembered_number(self._pid_file)
        self._process = None if pid is None else find_process(pid, self.data, self.PROGRAMS)
        if self._process is None or port is None:
            return False
        self._port = port
        return True

    def _launch(self, account: Account | None) -> None:
        ports = candidate_ports(self._memory, self._hint) if self._port is None else iter([self._port])
        failure = EngineFailed(self.NAME, "no port is free.")
        for port in ports:
            try:
                self._launch_on(port, account)
            except EngineFailed as error:
                failure = error
                if _PORT_TAKEN not in error.detail.lower():
                    raise
            else:
                return
        raise failure

    def _launch_on(self, port: int, account: Account | None) -> None:
        launch = self._command(port)
        try:
            with open_log(self.log) as log:
                self._process = start_process(launch, self.data, log, account)
        except OSError as error:
            raise EngineFailed(self.NAME, f"{launch.command[0]} does not run: {error.strerror}.") from error
        known, self._port = self._port, port
        self._memory.write_text(f"{port}\n")
        self._pid_file.write_text(f"{self._process.pid}\n")
        try:
            self.wait_ready()
        except EngineFailed:
            self._port = known
            raise

    @property
    def _memory(self) -> Path:
        return self.folder / "port"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"
