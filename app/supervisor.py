"""One Grove server: engines if it was given none, the control plane, web processes and a worker, kept running.

`grove serve` runs it until a signal; the demo and tests use it as a library:

    with Supervisor(settings, quiet=True) as running:
        httpx.get(running.url)
"""

import asyncio
import errno
import http.client
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

import click
import msgspec
import structlog

from app.bootstrap import BootstrapResult, bootstrap
from app.children import Child, inherit_environ, open_output
from app.embedded.address import keep_address
from app.embedded.engines import Engines
from app.embedded.grafana import Installation
from app.embedded.ports import find_obstacle, free_port
from app.settings import Settings, to_environ

WEB_TARGET = "app.asgi:create_app_from_environment"
WORKER = ("-m", "app", "worker")

_OTHER_HOST = "Set GROVE_HOST to an address of this machine (0.0.0.0 takes all)."
_OTHER_PORT = "Set PORT to another one (0 takes a free one)."
_TICK_S = 0.1
_READY_TIMEOUT_S = 60.0
_DEATHS_BEFORE_GIVING_UP = 3
_PORT_PATIENCE_S = 3.0
_GRACE_S = 5.0
_HTTP_OK = 200

Preparation = Callable[[Settings], Coroutine[Any, Any, BootstrapResult]]
log = structlog.get_logger(__name__)


class SupervisorError(Exception):
    """The server cannot run; the message is for the operator."""


class CannotListen(SupervisorError):
    """Somebody else listens on the port that was asked for, we may not, or the host is none of this machine."""

    def __init__(self, host: str, port: int, obstacle: OSError) -> None:
        foreign = isinstance(obstacle, socket.gaierror) or obstacle.errno == errno.EADDRNOTAVAIL
        super().__init__(
            f"Cannot listen on {host} port {port}: {obstacle.strerror or obstacle}. "
            + (_OTHER_HOST if foreign else _OTHER_PORT)
        )


class StartFailed(SupervisorError):
    """A part of the server did not come up."""


class Supervisor:
    """A server that is started, kept running and stopped as one.

    Shape: `url`, `platform_key` and `settings` (completed with what the engines and ports turned out to be) are known
    once `start` has returned; `platform_key` is None unless this was the very first start.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        quiet: bool = False,
        web_target: str = WEB_TARGET,
        worker: Sequence[str] | None = WORKER,
        prepare: Preparation = bootstrap,
        grafana: Installation | None = None,
    ) -> None:
        self.settings = settings
        self.platform_key: str | None = None
        self.engines = Engines(grafana)
        self._quiet = quiet
        self._web_target = web_target
        self._worker = worker
        self._prepare = prepare
        self._children: list[Child] = []
        self._output: IO[bytes] | None = None
        self._failure: BaseException | None = None
        self._settled, self._stopping, self._hurry = threading.Event(), threading.Event(), threading.Event()
        # One thread does everything from start to end: children are tied to the thread that started them.
        self._thread = threading.Thread(target=self._live, name="supervisor")

    @property
    def url(self) -> str:
        """Where this machine reaches the server."""
        return f"http://{self._address}:{self.settings.port}"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start everything and return when the server is ready for requests.

        Errors: SupervisorError, EngineError, or what the preparation raised; nothing is left running then.
        """
        self._thread.start()
        try:
            self._settled.wait()
        except BaseException:  # Ctrl-C: whoever does not get a server must not have to stop it
            self.stop()
            raise
        self._raise_failure()

    def stop(self) -> None:
        """Stop in order and wait: web processes (each accepted request is answered), worker, engines."""
        self._stopping.set()
        self._thread.join()

    def run(self) -> None:
        """Start, and return once all has ended after SIGTERM, SIGINT or SIGHUP; a second one cuts the patience short.

        Errors: as `start`.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self.start()
        self._thread.join()
        self._raise_failure()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def _live(self) -> None:
        try:
            self._open()
            if self._await_ready():
                self._settled.set()
                if not self._quiet:
                    log.info("ready", url=self.url)
            while not self._stopping.wait(_TICK_S):
                self._tend()
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits for us
            self._failure = error
        finally:
            try:
                self._close()
            finally:
                self._settled.set()

    def _open(self) -> None:
        _await_port(self.settings.host, self.settings.port)
        urls = self.engines.start(self.settings)
        self.engines.watch()
        completed = msgspec.structs.replace(
            urls.complete(self.settings),
            data_dir=self.settings.data_dir.resolve(),
            metrics_dir=self._metrics_dir(),
            port=self.settings.port or free_port(self.settings.host),
        )
        self.settings = msgspec.structs.replace(completed, public_url=completed.base_url)
        if self.engines.postgres is not None:
            keep_address(self.settings.data_dir, self.settings.base_url)
        self._report(asyncio.run(self._prepare(self.settings)))
        if self._quiet:
            self._output = open_output(self._log_file)
        self._children = [self._web()]
        if self._worker is not None:
            self._children.append(Child("worker", self._worker, self._environ(), self._output))
        for child in self._children:
            child.start()

    def _report(self, prepared: BootstrapResult) -> None:
        for sentence in prepared.unhardened:
            log.warning("not_hardened", reason=sentence)
        self.platform_key = prepared.platform_key
        if prepared.platform_key is not None and not self._quiet:
            click.echo(f"\nPlatform key (shown this once, keep it safe): {prepared.platform_key}\n")

    def _web(self) -> Child:
        settings = self.settings
        options = {
            "--interface": "asgi",
            "--host": settings.host,
            "--port": settings.port,
            "--loop": "uvloop",
            "--log-level": "warning",
            "--workers": settings.web_processes,
            "--workers-kill-timeout": settings.drain_timeout_s,
            "--respawn-interval": 0.25,
        }
        words = [str(word) for option in options.items() for word in option]
        command = ["-m", "granian", *words, "--respawn-failed-workers", "--factory", self._web_target]
        return Child("web", command, self._environ(), self._output)

    def _metrics_dir(self) -> Path | None:
        """Give several web processes a folder in which they add up what each has counted."""
        if self.settings.web_processes == 1:
            return self.settings.metrics_dir
        folder = self.settings.metrics_dir or self.settings.data_dir.resolve() / "metrics"
        shutil.rmtree(folder, ignore_errors=True)  # the numbers of processes that are no more
        folder.mkdir(mode=0o700, parents=True)
        return folder

    def _environ(self) -> dict[str, str]:
        return inherit_environ(os.environ, to_environ(self.settings))

    def _tend(self) -> None:
        for child in self._children:
            child.tend()

    def _await_ready(self) -> bool:
        """Wait until the web processes are ready; False if we were told to stop meanwhile."""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._stopping.wait(_TICK_S):
            self._tend()
            if (answer := self._ask_ready()) == _HTTP_OK:
                return True
            for child in self._children:
                if child.deaths >= _DEATHS_BEFORE_GIVING_UP:
                    raise StartFailed(f"The {child.name} process died {child.deaths} times at start. {self._hint}")
            if time.monotonic() > deadline:
                raise StartFailed(f"Not ready after {_READY_TIMEOUT_S:.0f} s, last answer: {answer}. {self._hint}")
        return False

    def _ask_ready(self) -> int | str:
        connection = http.client.HTTPConnection(self._address, self.settings.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        finally:
            connection.close()

    def _close(self) -> None:
        """End in order: who takes requests first, then who works on their behalf, then what both stand on."""
        for child in self._children:
            child.end(self.settings.drain_timeout_s + _GRACE_S, self._hurry)
        self.engines.stop()
        if self._output is not None:
            self._output.close()

    @property
    def _address(self) -> str:
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound
        return everywhere.get(self.settings.host, self.settings.host)

    @property
    def _log_file(self) -> Path:
        return self.settings.data_dir / "grove.log"

    @property
    def _hint(self) -> str:
        return f"The reason is in {self._log_file}." if self._quiet else "The reason is in the lines above."


def _await_port(host: str, port: int) -> None:
    """Make sure that we can listen; a server that was killed may need a moment to let go."""
    deadline = time.monotonic() + _PORT_PATIENCE_S
    while (obstacle := find_obstacle(port, host)) is not None:
        if obstacle.errno != errno.EADDRINUSE or time.monotonic() > deadline:
            raise CannotListen(host, port, obstacle)
        time.sleep(_TICK_S)
