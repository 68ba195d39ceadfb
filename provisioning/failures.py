"""Tell what passes (a database that is away) from what does not, and put it into words without secrets.

Called by the runner for every error of a step.
"""

import asyncpg
from sqlalchemy.exc import DBAPIError

from tenants.databases import UNAVAILABLE
from tenants.errors import ClientLeaving, GrafanaUnavailable, GrafanaUnfit, GroveError, StoreUnavailable

# Classes of SQLSTATE: connection, resources, operator intervention; and single states: locks, deadlocks,
# serialisation, timeouts, a role or database that a session still uses, another session's change of the same object,
# or its making of one: a lost runner's last statement may still be at work.
_PASSING_CLASSES = {"08", "53", "57"}
_PASSING = {"55P03", "40P01", "40001", "25P03", "55006", "XX000", "42710", "42P04", "42P06", "23505"}
_WORDS = {
    "28P01": "the login was refused", "28000": "the login was refused", "3D000": "there is no such database",
    "42501": "the login may not do this", "55P03": "a lock was not free in time", "57014": "a statement took too long",
    "53100": "the disk is full", "53300": "there are too many connections", "55006": "an object is still in use",
}  # fmt: skip


def is_passing(error: BaseException) -> bool:
    """Tell whether trying again later may help."""
    if isinstance(error, StoreUnavailable | GrafanaUnavailable | GrafanaUnfit | ClientLeaving | OSError | TimeoutError):
        return True
    if isinstance(error, GroveError):
        return False
    state = _state_of(error)
    if state is not None:
        return state in _PASSING or state[:2] in _PASSING_CLASSES
    return isinstance(error, UNAVAILABLE) or (isinstance(error, DBAPIError) and error.connection_invalidated)


def describe(error: BaseException) -> str:
    """Say what went wrong. Messages of drivers are left out: they may quote a password or another client's data."""
    if isinstance(error, GroveError):
        return error.detail or type(error).__name__
    state = _state_of(error)
    if state is not None:
        return f"The database says {_WORDS.get(state, 'no')} (SQLSTATE {state})."
    if is_passing(error):
        return f"The database cannot be reached ({type(error).__name__})."
    return f"Unexpected {type(error).__name__}."


def _state_of(error: BaseException) -> str | None:
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
    else:
        state = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
    return state if isinstance(state, str) else None
