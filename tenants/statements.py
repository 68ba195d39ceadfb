"""Fixed SQL, from the folder `sql` of the package that uses it; read once, and written for a client.

Called by every package with SQL of its own that goes to clients' databases.
"""

from functools import cache
from importlib import resources

from tenants.placement import Placement


@cache
def read_statement(package: str, name: str) -> str:
    """Read a statement that names the client's schema as `{{schema}}`."""
    return (resources.files(package) / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def write_statement(package: str, placement: Placement, name: str) -> str:
    """Read a statement and put the client's schema into it."""
    return placement.render(read_statement(package, name))
