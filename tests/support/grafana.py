"""The Grafana that a test runs against: the double, or a real one where this machine has one.

A real one is named by `GRAFANA_URL` (with `GRAFANA_ADMIN_PASSWORD`), or started from `GRAFANA_HOME` or from `grafana`
on the PATH, as the demo starts it: on SQLite in a throwaway folder, on loopback, with the settings of
`infra/grafana.ini`.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from configparser import RawConfigParser
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest

from app.embedded.errors import EngineMissing
from app.embedded.grafana import SETTINGS, EmbeddedGrafana, GrafanaSecrets, Installation, find_installation
from app.embedded.process import Launch
from app.settings import Settings
from provisioning.grafana.client import GrafanaAdmin
from tests.support.grafana_double import PASSWORD, GrafanaDouble, open_double

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


def find_local() -> Installation | None:
    """Find the Grafana that could be started here."""
    home = os.environ.get("GRAFANA_HOME")  # noqa: TID251 - says what this machine has
    try:
        return find_installation(Path(home) if home else None)
    except EngineMissing:
        return None


def missing_reason() -> str | None:
    """Say why there is no real Grafana here; None if there is one."""
    if os.environ.get("GRAFANA_URL") or find_local() is not None:  # noqa: TID251 - as above
        return None
    return "no real Grafana: neither GRAFANA_URL nor GRAFANA_HOME is set, and there is no grafana on the PATH"


def local_installation() -> Installation:
    """Return the Grafana that can be started here. Skips where there is none."""
    found = find_local()
    if found is None:
        pytest.skip("no Grafana to start: GRAFANA_HOME is not set, and there is no grafana on the PATH")
    return found


@contextmanager
def real_grafana() -> Iterator[Target]:
    """Yield a real Grafana; one that we start is gone afterwards. Skips, with the reason, where there is none."""
    url = os.environ.get("GRAFANA_URL")  # noqa: TID251 - as above
    if url:
        yield Target(url, os.environ.get("GRAFANA_ADMIN_PASSWORD", "admin"))  # noqa: TID251 - as above
        return
    with tempfile.TemporaryDirectory(prefix="grove-grafana-") as folder, started_grafana(Path(folder)) as target:
        yield target


@contextmanager
def started_grafana(folder: Path, variables: Mapping[str, str] | None = None) -> Iterator[Target]:
    """Start a Grafana on a folder, in which it keeps its database, and stop it in the end.

    Shape: `variables` go to it beside the settings. Skips where there is no program to start.
    """
    engine = _Throwaway(folder, variables or {})
    engine.start()
    try:
        yield Target(engine.url, PASSWORD)
    finally:
        engine.stop()


class _Throwaway(EmbeddedGrafana):
    """A Grafana as the demo has it, with known secrets and with variables of the test's own."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        secrets = GrafanaSecrets(PASSWORD, "a secret key of a throwaway server", Settings().grafana_header)
        super().__init__(folder, secrets, local_installation())
        self._variables = variables

    def _command(self, port: int) -> Launch:
        launch = super()._command(port)
        return msgspec.structs.replace(launch, environ={**launch.environ, **self._variables})


def read_settings() -> dict[str, dict[str, str]]:
    """Read the settings of this repository."""
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(SETTINGS)
    return {section: dict(parser[section]) for section in parser.sections()}


@asynccontextmanager
async def double_grafana() -> AsyncIterator[Target]:
    """Yield a double."""
    async with open_double() as double:
        yield Target(double.url, double.password, double)
