"""The server of a soak: `grove serve` in a process of its own, durable, with engines of its own; and its clients.

Used by `bench.soak`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import msgspec

from app.children import inherit_environ
from app.embedded.engines import find_running
from app.embedded.ports import free_port
from app.settings import Settings, to_environ

PATIENCE_S = 120
STOP_S = 60
_KEY = "Platform key"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A running server.

    Shape: `settings` are completed with where its engines are.
    """

    pid: int
    url: str
    settings: Settings
    platform_key: str

    @property
    def headers(self) -> dict[str, str]:
        """The header with the platform's key."""
        return {"Authorization": f"Bearer {self.platform_key}"}

    def make_client(self, client_id: str) -> str:
        """Onboard a client and return its server key."""
        answer = httpx.post(
            f"{self.url}/api/v1/clients",
            json={"id": client_id, "name": client_id.title()},
            headers={**self.headers, "Prefer": "wait=30"},
            timeout=35,
        )
        answer.raise_for_status()
        return str(answer.json()["keys"]["server"])


@contextmanager
def serve(folder: Path, *, web_processes: int) -> Iterator[Server]:
    """Start a server in a folder and stop it in the end; its log is `log` there."""
    wanted = Settings(data_dir=folder / "data", port=free_port(), web_processes=web_processes)
    log, said = folder / "log", folder / "said"
    environ = inherit_environ(os.environ, to_environ(wanted))  # noqa: TID251 - handed on
    with log.open("wb") as errors, said.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environ, stdout=output, stderr=errors)
    try:
        url = f"http://{wanted.host}:{wanted.port}"
        _await_ready(process, url)
        key = next(line.split()[-1] for line in said.read_text().splitlines() if _KEY in line)
        engines = find_running(wanted)
        if engines is None:
            raise RuntimeError("the server runs, but not its engines")
        yield Server(pid=process.pid, url=url, settings=engines.complete(wanted), platform_key=key)
    finally:
        process.terminate()
        process.wait(STOP_S)


def _await_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health/ready").is_success:
                return
        time.sleep(0.2)
    raise RuntimeError("the server did not start; its log tells why")
