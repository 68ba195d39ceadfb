"""The Grafana that a test runs against: the double, or a real one where this machine has one.

A real one is named by `GRAFANA_URL` (with `GRAFANA_ADMIN_PASSWORD`), or started from `GRAFANA_HOME` or from `grafana`
on the PATH: on SQLite in a throwaway folder, on loopback, with the settings of `infra/grafana.ini`.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from app.embedded.ports import free_port
from provisioning.grafana.client import GrafanaAdmin
from tests.support.grafana_double import PASSWORD, GrafanaDouble, open_double

SETTINGS = Path(__file__).parents[2] / "infra/grafana.ini"
READY_TIMEOUT_S = 60
# The version that the exchanges were recorded on; it is old, and no product should run it.
ALLOWED = "9.4"


class Target(msgspec.Struct, frozen=True):
    """A running Grafana. `double` is it, if it is no real one."""

    url: str
    password: str
    double: GrafanaDouble | None = None

    def admin(self, *, timeout_s: float = 15.0) -> GrafanaAdmin:
        """Open a client as Grove has it."""
        return GrafanaAdmin(self.url, self.password, allow_version=ALLOWED, timeout_s=timeout_s)


def missing_reason() -> str | None:
    """Say why there is no real Grafana here; None if there is one."""
    if os.environ.get("GRAFANA_URL") or _command() is not None:  # noqa: TID251 - says what this machine has
        return None
    return "no real Grafana: neither GRAFANA_URL nor GRAFANA_HOME is set, and there is no grafana on the PATH"


@contextmanager
def real_grafana() -> Iterator[Target]:
    """Yield a real Grafana; one that we start is gone afterwards. Skips, with the reason, where there is none."""
    reason = missing_reason()
    if reason is not None:
        pytest.skip(reason)
    url = os.environ.get("GRAFANA_URL")  # noqa: TID251 - as above
    if url:
        yield Target(url, os.environ.get("GRAFANA_ADMIN_PASSWORD", "admin"))  # noqa: TID251 - as above
        return
    with tempfile.TemporaryDirectory(prefix="grove-grafana-") as folder, started_grafana(Path(folder)) as target:
        yield target


@contextmanager
def started_grafana(folder: Path, **more: str) -> Iterator[Target]:
    """Start a Grafana on a folder, in which it keeps its database, and stop it in the end.

    Shape: `more` are further variables.
    """
    command, port = _command(), free_port("127.0.0.1")
    assert command is not None
    given = {
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_SECURITY_ADMIN_PASSWORD": PASSWORD,
        "GF_SECURITY_SECRET_KEY": "a secret key of a throwaway server",
    }
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("GF_")}  # noqa: TID251 - handed on
    with (folder / "grafana.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--config", str(SETTINGS)], env=inherited | given | more, stdout=log, stderr=log, cwd=folder
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _await_ready(url, process, folder / "grafana.log")
        yield Target(url, PASSWORD)
    finally:
        process.terminate()
        process.wait(timeout=READY_TIMEOUT_S)


@asynccontextmanager
async def double_grafana() -> AsyncIterator[Target]:
    """Yield a double."""
    async with open_double() as double:
        yield Target(double.url, double.password, double)


def _command() -> list[str] | None:
    home = os.environ.get("GRAFANA_HOME")  # noqa: TID251 - says what this machine has
    if home:
        for name in ("grafana", "grafana-server"):
            program = Path(home) / "bin" / name
            if program.exists():
                return [str(program), *(["server"] if name == "grafana" else []), "--homepath", home]
    found = shutil.which("grafana")
    if found is None:
        return None
    homes = [Path(found).resolve().parents[1], Path("/usr/share/grafana"), Path("/opt/grafana")]
    known = next((str(folder) for folder in homes if (folder / "conf/defaults.ini").exists()), None)
    return [found, "server", *(["--homepath", known] if known else [])]


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/api/health", timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"Grafana did not become ready: {log.read_text(errors='replace')[-2000:]}")
