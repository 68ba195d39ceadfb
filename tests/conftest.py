"""Real engines for the whole run, and a Grove on them for the tests that ask."""

import signal
from collections.abc import Iterator

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from tests.support.engines import throwaway_postgres, throwaway_valkey

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
