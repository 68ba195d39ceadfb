"""A child process of the supervisor: started, started again when it dies, and ended with patience.

Used by `app.supervisor`, always from the one thread that lives as long as the children: the kernel's signal for a dead
parent (`app.tether`) is about the thread that started the child.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from app import tether

_STABLE_S = 30.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 30.0
_POLL_S = 0.02
_PLATFORM_KEYS = frozenset(
    {
        "DATABASE_URL",
        "REDIS_URL",
        "PORT",
        "GRAFANA_URL",
        "GRAFANA_HOME",
        "GRAFANA_ADMIN_PASSWORD",
        "PROMETHEUS_MULTIPROC_DIR",
    }
)

log = structlog.get_logger(__name__)


class Child:
    """One program that shall be running.

    Shape: `deaths` counts how often it died since it last ran well for a while. Its command is one of Python's:
    what follows the interpreter.
    """

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], output: IO[bytes] | None) -> None:
        self.name = name
        self.deaths = 0
        self._command = command
        self._environ = environ
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = self._due_at = 0.0

    @property
    def pid(self) -> int | None:
        """Its process id, while it is known to run."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C is for the supervisor, which drains in order."""
        program = [sys.executable, "-S", tether.__file__, str(os.getpid()), sys.executable, *self._command]
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own commands
            program,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )

    def tend(self) -> None:
        """Notice a death, and start it again when it is time: at once at first, then ever later."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._mourn(self._process, now)
        elif self._process is not None and now - self._started_at > _STABLE_S:
            self.deaths = 0
        elif self._process is None and now >= self._due_at:
            self.start()

    def end(self, patience_s: float, hurry: threading.Event) -> None:
        """Ask it to end, wait while it answers what it has accepted, and kill what is left."""
        if self._process is None:
            return
        self._process.terminate()
        deadline = time.monotonic() + patience_s
        while self._process.poll() is None and time.monotonic() < deadline and not hurry.is_set():
            time.sleep(_POLL_S)
        if self._process.poll() is None:
            log.warning("child_killed", child=self.name, patience_s=patience_s)
        self._kill_group(self._process)
        self._process = None

    def _mourn(self, process: subprocess.Popen[bytes], now: float) -> None:
        self._kill_group(process)
        self.deaths += 1
        pause = min(_FIRST_PAUSE_S * 2 ** (self.deaths - 1), _LONGEST_PAUSE_S)
        log.error("child_died", child=self.name, exit_status=process.returncode, deaths=self.deaths, again_in_s=pause)
        self._due_at = now + pause
        self._process = None

    @staticmethod
    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        # Workers of a web server that was killed would go on answering on its port.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def inherit_environ(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Build a child's environment: what we inherited, with these settings and no other.

    A setting that we were given and decided against must not come back to life in a child.
    """
    return {key: text for key, text in environ.items() if not _is_setting(key)} | dict(settings)


def _is_setting(key: str) -> bool:
    return key.startswith(("GROVE_", "ANALYTICS_")) or key.endswith("_DB_URL") or key in _PLATFORM_KEYS


def open_output(path: Path) -> IO[bytes]:
    """Open the file that takes a quiet server's output."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("ab")
