"""Servers that fault tests may hurt: real processes on fully durable engines."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.settings import Settings
from app.supervisor import Supervisor
from tests.support.engines import throwaway_postgres
from tests.support.servers import Client, Server


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[EmbeddedPostgres]:
    """A Postgres that keeps its promises; nobody starts it again but the test."""
    with throwaway_postgres(durable=True) as engine:
        yield engine


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of its own: pytest's are closed to the engines' account whenever another run of pytest starts."""
    with TemporaryDirectory(prefix="grove-faults-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """`grove serve` with embedded engines; it brings back what a test kills."""
    with TemporaryDirectory(prefix="grove-faults-") as name:
        settings = Settings(data_dir=Path(name) / "data", port=0, log_level="warning")
        with Supervisor(settings, quiet=True) as supervisor:
            yield Server(supervisor)


@pytest.fixture
async def client(server: Server) -> Client:
    """A client of the server, new for each test."""
    return await server.make_client()
