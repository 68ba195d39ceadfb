"""Web processes as `grove serve` runs them, for what only several of them can show."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from app.embedded.ports import free_port
from app.settings import Settings, to_environ


@contextmanager
def web_process(settings: Settings, *, port: int | None = None) -> Iterator[str]:
    """Run a web server, on a free port unless one is given, and yield its address."""
    port = port or free_port("127.0.0.1")
    command = ["-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--log-level", "warning", "--factory", "app.asgi:create_app_from_environment"]
    process = subprocess.Popen([sys.executable, *command], env=to_environ(settings))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


async def is_ready(http: httpx.AsyncClient) -> bool:
    """Ask whether a process is ready."""
    try:
        return (await http.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False
