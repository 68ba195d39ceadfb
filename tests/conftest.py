"""Real engines for the whole run, and a Grove on them for the tests that ask."""

import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from provisioning.grafana.client import GrafanaAdmin
from tests.support.engines import throwaway_postgres, throwaway_valkey
from tests.support.grafana import Target, double_grafana, real_grafana
from tests.support.grafana_double import GrafanaDouble, open_double
from tests.support.provisioner import Provisioner, open_provisioner

# A job in the background is started deaf to Ctrl-C, and would hand that on to the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A throwaway cluster; `.url` is its administrator's."""
    with throwaway_postgres() as engine:
        yield engine


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedValkey]:
    """A throwaway Valkey."""
    with throwaway_valkey() as engine:
        yield engine


@pytest.fixture(scope="session")
def the_real_grafana() -> Iterator[Target]:
    """A real Grafana, the same for the whole run; skips where there is none."""
    with real_grafana() as target:
        yield target


@pytest.fixture(scope="module")
async def double() -> AsyncIterator[GrafanaDouble]:
    """The double, with its inside."""
    async with open_double() as opened:
        yield opened


@pytest.fixture(scope="module", params=["double", pytest.param("real", marks=pytest.mark.grafana)])
async def grafana(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    """The double, and a real Grafana where there is one."""
    if request.param == "real":
        yield request.getfixturevalue("the_real_grafana")
        return
    async with double_grafana() as target:
        yield target


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, grafana: Target) -> AsyncIterator[Provisioner]:
    """A control plane with a Grafana beside it; many modules have a `grove` of their own instead."""
    async with open_provisioner(postgres.url, grafana=grafana.admin()) as opened:
        yield opened


@pytest.fixture
async def admin(grove: Provisioner) -> GrafanaAdmin:
    """That Grafana, looked into by its administrator."""
    assert grove.grafana is not None
    return grove.grafana
