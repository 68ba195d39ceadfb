"""Servers that fault tests may hurt: real processes on fully durable engines. No test of a fault runs without end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.settings import Settings
from app.supervisor import Supervisor
from tests.support.engines import throwaway_postgres
from tests.support.servers import Client, Server

# Several times what the slowest takes on two cores: whoever hangs is found, whoever is slow is not cut off.
LIMIT_S = 120.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test of this folder a limit."""
    for item in items:
        here = item.path.parent == Path(__file__).parent
        if here and isinstance(item, pytest.Function) and iscoroutinefunction(item.obj):
            item.obj = limited(item.obj)


def limited(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """End a test that does not end."""

    @wraps(test)
    async def run(*args: object, **given: object) -> None:
        async with asyncio.timeout(LIMIT_S):
            await test(*args, **given)

    return run


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
