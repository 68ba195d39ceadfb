"""Lock a client for a change of what it has. Called by whoever keeps a client's schemas and adaptors."""

from sqlalchemy.ext.asyncio import AsyncSession

from tenants.errors import NotFound, WrongState
from tenants.models import Client


async def lock_kept_client(session: AsyncSession, client_id: str) -> None:
    """Have one such change of a client at a time, and none while it is being deleted.

    Errors: NotFound; WrongState.
    """
    client = await session.get(Client, client_id, with_for_update=True, populate_existing=True)
    if client is None:
        raise NotFound("No such client.")
    if client.status == "deleting":
        raise WrongState("The client is being deleted; restore it first.")
