"""Make the clients of a file so, as often as one likes: `grove tenant apply FILE`.

Called by the CLI with the decoded entries of a `.json` or `.toml` file.
"""

import uuid
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor
from provisioning.onboarding import Onboarding
from provisioning.requests import NewClient


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done for one client. `did`: created, changed, unchanged."""

    client_id: str
    did: str
    changed: list[str] = []
    operation_id: uuid.UUID | None = None


def read_clients(path: Path) -> list[NewClient]:
    """Read a file of clients: `{"clients": [...]}` as JSON, or `[[clients]]` tables as TOML.

    Errors: InputRefused, with the place of the fault.
    """
    raise NotImplementedError


async def apply_client(session: AsyncSession, onboarding: Onboarding, wanted: NewClient, actor: Actor) -> Applied:
    """Make one client so: create it if missing, change name, branding, domain and timezone where they differ.

    Errors: as `Onboarding.request`; InputRefused (`/placement`) where an existing client would have to move.
    """
    raise NotImplementedError
