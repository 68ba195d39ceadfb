"""Forget what the control plane needs for a while only. Scheduled."""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, delete

from app.workers.resources import WorkerResources
from provisioning.onboarding import unscoped_erase_unshown_keys
from tenants.models import (
    IdempotencyRecord,
    LoginFailure,
    OneTimeToken,
    OutgoingMail,
    Revocation,
    ServiceToken,
    SigningKey,
    StaffSession,
)

# As long as somebody may ask who was there.
LOGINS_KEPT = timedelta(days=30)
FAILURES_KEPT = timedelta(hours=24)
MAILS_TRIED = timedelta(hours=24)
IDEMPOTENCY_KEPT = timedelta(hours=24)
TOKENS_KEPT = timedelta(hours=24)
# Processes poll several times a second; one that heard nothing for this long believes no cache any more.
REVOCATIONS_KEPT = timedelta(hours=1)


async def purge_idempotency(resources: WorkerResources) -> int:
    """Delete what was answered under an `Idempotency-Key` more than a day ago; return how many records."""
    before = resources.clock() - IDEMPOTENCY_KEPT
    return await _purge(resources, delete(IdempotencyRecord).where(IdempotencyRecord.created_at < before))


async def purge_revocations(resources: WorkerResources) -> int:
    """Delete revocations that every process has heard of; return how many."""
    before = resources.clock() - REVOCATIONS_KEPT
    return await _purge(resources, delete(Revocation).where(Revocation.at < before))


async def erase_unshown_keys(resources: WorkerResources) -> int:
    """Erase first keys of new clients that nobody asked for in time; return of how many clients."""
    async with resources.control.session() as session:
        return await unscoped_erase_unshown_keys(session, clock=resources.clock)


async def purge_logins(resources: WorkerResources) -> int:
    """Delete sessions and links long over, old counts of failures, and mails nobody could send; return how many."""
    now = resources.clock()
    return sum(
        [
            await _purge(resources, delete(StaffSession).where(StaffSession.expires_at < now - LOGINS_KEPT)),
            await _purge(resources, delete(OneTimeToken).where(OneTimeToken.expires_at < now - LOGINS_KEPT)),
            await _purge(resources, delete(LoginFailure).where(LoginFailure.updated_at < now - FAILURES_KEPT)),
            await _purge(resources, delete(OutgoingMail).where(OutgoingMail.created_at < now - MAILS_TRIED)),
        ]
    )


async def purge_tokens(resources: WorkerResources) -> int:
    """Delete service tokens that are over, and the signing keys of none that is not; return how many."""
    before = resources.clock() - TOKENS_KEPT
    over = await _purge(resources, delete(ServiceToken).where(ServiceToken.expires_at < before))
    return over + await _purge(resources, delete(SigningKey).where(SigningKey.ends_at < before))


async def _purge(resources: WorkerResources, query: Delete) -> int:
    async with resources.control.session() as session:
        return cast("CursorResult[Any]", await session.execute(query)).rowcount
