"""Migrate all clients: side by side, resumable, with a report of those that lag behind.

Called by `grove migrate` and at start; each client is migrated by `migrations.tenant_plane` in one transaction.
"""

import msgspec

from tenants.control import ControlPlane
from tenants.vault import Vault


class Laggard(msgspec.Struct, frozen=True, kw_only=True):
    """A client that is not at the newest revision, and why (None in a dry run)."""

    client_id: str
    revision: str | None
    error: str | None = None


class FanoutReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found and did. `clients` = `current` + `migrated` + laggards."""

    head: str
    clients: int
    current: int
    migrated: list[str]
    laggards: list[Laggard]


async def migrate_clients(
    control: ControlPlane, *, vault: Vault, main_url: str, parallel: int = 4, dry_run: bool = False
) -> FanoutReport:
    """Bring every client that lags behind to the newest revision; one client's failure stops no other.

    Shape: `control` and `main_url` are the administrator's; a dry run lists the laggards and touches nothing.
    """
    raise NotImplementedError
