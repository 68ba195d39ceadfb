"""One engine's operating system process, whether we started it or found it running.

Used by `keeper`. An engine works in its own data folder, and that is how a process is known to be it:
a pid file alone may name a stranger after a reboot, and a dead process whose parent is slow to reap it (a zombie).
"""

import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec

from app.embedded.account import Account, demotion_to

POLL_S = 0.01
_PROC = Path("/proc")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


class Launch(msgspec.Struct, frozen=True):
    """How an engine is started. `given` is what it reads from its standard input.

    Secrets go there or into the environment: on the command line everybody could read them.
    """

    command: list[str]
    environ: Mapping[str, str] = {}
    given: bytes = b""


class EngineProcess:
    """A running engine.

    Shape: `child` is None for a process that an earlier Grove started; its end is then read from /proc.
    """

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._child = child
        self._born = _born(pid)

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not, and a child that ended is reaped by asking."""
        if self._child is not None:
            return self._child.poll() is None
        return self._born is not None and _born(self.pid) == self._born

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.alive:
            os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end and return whether it came in time."""
        deadline = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def end(self, *signals: signal.Signals, patience_s: float) -> None:
        """Ask with each signal in turn, a while each, and kill what does not listen."""
        for number in signals:
            self.send(number)
            if self.wait(patience_s):
                return
        self.send(signal.SIGKILL)
        self.wait(patience_s)


def start_process(launch: Launch, folder: Path, log: IO[bytes], account: Account | None) -> EngineProcess:
    """Start an engine in its folder, in a session of its own so that Ctrl-C in a terminal does not reach it."""
    child = subprocess.Popen(  # noqa: S603 - the command is built by our own engines
        launch.command,
        cwd=folder,
        env={**_ENVIRONMENT, **launch.environ},
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=0o077,
        **demotion_to(account),
    )
    if child.stdin is not None:
        with child.stdin as standard_input:
            standard_input.write(launch.given)
    return EngineProcess(child.pid, child)


def find_process(pid: int, folder: Path, programs: Collection[str]) -> EngineProcess | None:
    """Return the process `pid` if it is one of `programs` at work in `folder`."""
    return EngineProcess(pid) if _works_in(pid, folder, programs) else None


def end_all(folder: Path, programs: Collection[str]) -> None:
    """Kill what an engine that died has left at work in its folder, and wait until it is gone.

    A Postgres backend can outlive its postmaster for a moment, and a new server must not meet it.
    """
    for process in _processes(folder, programs):
        process.end(patience_s=10)


def _processes(folder: Path, programs: Collection[str]) -> Iterator[EngineProcess]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and _works_in(int(entry.name), folder, programs):
            yield EngineProcess(int(entry.name))


def _works_in(pid: int, folder: Path, programs: Collection[str]) -> bool:
    try:
        place = (_PROC / str(pid) / "cwd").readlink()
        program = (_PROC / str(pid) / "exe").readlink()
    except OSError:  # gone, a zombie, or not ours to look at
        return False
    return place == folder.resolve() and program.name.removesuffix(" (deleted)") in programs


def _born(pid: int) -> str | None:
    """Return when a process was started, in ticks since boot; None once it has ended, be it reaped or not."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} and not _has_threads(pid) else fields[18]


def _has_threads(pid: int) -> bool:
    """Tell whether threads outlive the first one, which is a zombie meanwhile: they hold ports and files."""
    try:
        return len(list((_PROC / str(pid) / "task").iterdir())) > 1
    except OSError:
        return False
