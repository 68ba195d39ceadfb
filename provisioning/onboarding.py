"""Onboard a client: judge the request, check the given database, store the intent in one transaction.

Called by `POST /api/v1/clients`, `grove tenant create` and `grove tenant apply`.
"""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor
from provisioning.requests import NewClient
from tenants.clock import Clock
from tenants.vault import Vault


class Onboarding:
    """Takes orders for new clients. `reserved` are the ids that paths of ours begin with."""

    def __init__(self, *, vault: Vault, main_url: str, reserved: frozenset[str], retention_days: int, clock: Clock) -> None:
        raise NotImplementedError

    async def request(self, session: AsyncSession, new: NewClient, actor: Actor) -> uuid.UUID:
        """Store the intent to onboard a client and return the operation's id; then let a runner run it.

        Errors: InputRefused with a pointer per fault; AlreadyTaken (`/id`, `/domain`); DatabaseRefused
        (`/placement/url`). Nothing is stored then. Connects to a given URL within the call (≤ 5 s).
        """
        raise NotImplementedError


async def reveal_keys(
    session: AsyncSession, operation_id: uuid.UUID, actor: Actor, *, vault: Vault, clock: Clock
) -> dict[str, str] | None:
    """Return a new client's first keys, once, and erase them.

    Shape: `{admin, server, browser}`; None before they exist, once shown, after 24 hours, and for anyone but the
    actor who created the client.
    """
    raise NotImplementedError
