"""Servers that hold clients, and the login through which each is served.

Called by bootstrap (`main`), by the CLI and by onboarding; the serving login owns nothing and can read no client.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from tenants.control import ControlPlane
from tenants.vault import Vault


async def ensure_main_server(control: ControlPlane, *, vault: Vault) -> list[str]:
    """Make the serving login of `main`, its rights on the control plane, and the walls of that database.

    Shape: `control` is the administrator's; call it after `upgrade_control_plane`, at every start. Returns what could
    not be hardened, one sentence each.
    """
    raise NotImplementedError


async def add_server(session: AsyncSession, name: str, admin_url: str, *, vault: Vault) -> None:
    """Register a further server, on which `placement.server` may then put clients.

    Errors: InputRefused (`/name`), AlreadyTaken, DatabaseRefused (`/url`).
    """
    raise NotImplementedError
