"""Change, suspend, resume, delete and restore clients, and see to their removal when their grace is over.

Called by the routes, the CLI and a daily job. What changes is told to every process by a revocation: call
`RevocationFeed.announce()` after the transaction.
"""

import uuid
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor
from provisioning.requests import ClientChange


async def change_client(session: AsyncSession, client_id: str, change: ClientChange, actor: Actor, *, now: datetime) -> None:
    """Change what is given.

    Errors: NotFound; InputRefused with a pointer per fault; AlreadyTaken (`/domain`).
    """
    raise NotImplementedError


async def suspend_client(session: AsyncSession, client_id: str, actor: Actor, *, now: datetime) -> uuid.UUID:
    """Shut a client's keys and pages until it is resumed; suspending twice is fine. Returns the (done) operation.

    Errors: NotFound; WrongState while it is being made or deleted.
    """
    raise NotImplementedError


async def resume_client(session: AsyncSession, client_id: str, actor: Actor, *, now: datetime) -> uuid.UUID:
    """Open a suspended client again. Errors: NotFound; WrongState."""
    raise NotImplementedError


async def delete_client(
    session: AsyncSession, client_id: str, actor: Actor, *, now: datetime, grace_days: int
) -> uuid.UUID:
    """Shut a client and remove it for good after the grace; until then it can be restored.

    Shape: returns the operation `client.delete` (done), or `client.remove` (to be run) where there is no grace. A
    client that is still being made is not deleted but its onboarding cancelled, and that operation returned.
    Errors: NotFound.
    """
    raise NotImplementedError


async def restore_client(session: AsyncSession, client_id: str, actor: Actor, *, now: datetime) -> uuid.UUID:
    """Take a deletion back; a client that was suspended before stays suspended.

    Errors: NotFound; WrongState if it is not being deleted or its removal has begun.
    """
    raise NotImplementedError


async def request_removal(session: AsyncSession, client_id: str, actor: Actor) -> uuid.UUID:
    """Store the intent to remove a client for good now (operation `client.remove`). Errors: NotFound."""
    raise NotImplementedError


async def unscoped_request_due_removals(session: AsyncSession, *, now: datetime) -> list[uuid.UUID]:
    """Store removals for all clients whose grace is over; return the operations, to be run."""
    raise NotImplementedError


async def request_isolation_check(session: AsyncSession, client_id: str, actor: Actor) -> uuid.UUID:
    """Store the intent to try every wall of a client (operation `client.isolation_check`).

    Shape: the operation's result is `{attempts: [{role, wall, attempt, expected, outcome, detail}], summary:
    {attempts, leaks, unhardened[]}}`. Errors: NotFound; WrongState before the client is active.
    """
    raise NotImplementedError
