"""The SQL of this package: a file per statement, rendered for a client. Used by whatever touches a client's tables."""

from functools import cache
from pathlib import Path

from tenants.placement import Placement

_SQL = Path(__file__).parent / "sql"


@cache
def _template(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


def statement(placement: Placement, name: str) -> str:
    """Read a statement and put the client's schema into it."""
    return placement.render(_template(name))
