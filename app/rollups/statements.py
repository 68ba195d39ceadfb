"""The SQL of the rollups, from files beside this module, written for a client's schema."""

from functools import cache
from pathlib import Path

from tenants.placement import Placement

_SQL = Path(__file__).parent / "sql"


@cache
def _template(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


def statement(placement: Placement, name: str) -> str:
    """Write a statement for a client."""
    return placement.render(_template(name))
