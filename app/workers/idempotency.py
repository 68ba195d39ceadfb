"""Forget what was answered under an `Idempotency-Key` more than a day ago. Scheduled hourly."""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete

from app.workers.resources import WorkerResources
from tenants.models import IdempotencyRecord

KEPT = timedelta(hours=24)


async def purge_idempotency(resources: WorkerResources) -> int:
    """Delete old records; return how many."""
    query = delete(IdempotencyRecord).where(IdempotencyRecord.created_at < resources.clock() - KEPT)
    async with resources.control.session() as session:
        return cast("CursorResult[Any]", await session.execute(query)).rowcount
