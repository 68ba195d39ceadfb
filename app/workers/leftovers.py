"""Forget what the control plane needs for a while only. Scheduled."""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, delete

from app.workers.resources import WorkerResources
from provisioning.onboarding import unscoped_erase_unshown_keys
from tenants.models import IdempotencyRecord, Revocation

IDEMPOTENCY_KEPT = timedelta(hours=24)
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


async def _purge(resources: WorkerResources, query: Delete) -> int:
    async with resources.control.session() as session:
        return cast("CursorResult[Any]", await session.execute(query)).rowcount
