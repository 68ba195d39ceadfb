"""A place for a client's data and pools to reach it by, for tests that need no more of Grove."""

from collections.abc import AsyncIterator

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.databases import Databases
from tenants.placement import Placement
from tests.support.placements import placed
from tests.support.pools import open_databases


@pytest.fixture
async def placement(postgres: EmbeddedPostgres) -> AsyncIterator[Placement]:
    """A client of the main database."""
    async with placed(postgres.url) as made:
        yield made


@pytest.fixture
async def databases() -> AsyncIterator[Databases]:
    """Pools with two connections for questions, of which one client holds one."""
    async with open_databases() as opened:
        yield opened
