"""What is tried again, and that no driver's text is told."""

import asyncpg
import pytest

from provisioning.failures import describe, is_passing
from tenants.errors import ClientLeaving, DatabaseRefused, StoreUnavailable


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable(),
        ClientLeaving("x"),
        ConnectionRefusedError("10.0.0.1"),
        TimeoutError(),
        asyncpg.LockNotAvailableError("x"),
        asyncpg.CannotConnectNowError("x"),
        asyncpg.TooManyConnectionsError("x"),
        asyncpg.QueryCanceledError("x"),
        asyncpg.DuplicateDatabaseError("x"),
    ],
)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert is_passing(error)


@pytest.mark.parametrize(
    "error",
    [
        DatabaseRefused("no"), asyncpg.InsufficientPrivilegeError("x"), asyncpg.PostgresSyntaxError("x"),
        asyncpg.InvalidPasswordError("x"), KeyError("x"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_not(error: Exception) -> None:
    assert not is_passing(error)


def test_a_drivers_words_are_not_repeated() -> None:
    secret = "password authentication failed for maple:hunter2"
    for error in (asyncpg.InvalidPasswordError(secret), OSError(secret), KeyError(secret)):
        assert "hunter2" not in describe(error)
    assert describe(DatabaseRefused("It must be empty.")) == "It must be empty."
