"""A server to send to, in a process of its own."""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import own_database
from tests.support.servers import Client, run_program


@pytest.fixture(scope="package")
async def client(postgres: EmbeddedPostgres) -> AsyncIterator[Client]:
    """A client of a running server."""
    with TemporaryDirectory(prefix="grove-sdk-") as name:
        async with own_database(postgres.url) as url, run_program(url, Path(name)) as program:
            yield await program.make_client()
