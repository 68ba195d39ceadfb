"""Make sure that one runner at a time works on a client, and that a lost runner's operation is taken over.

Called by the runner. Times are the control plane's own, so that no two machines' clocks are compared.
"""

import asyncio
import uuid
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.operations import OPEN_STATES, is_due
from tenants.control import ControlPlane
from tenants.errors import StoreUnavailable
from tenants.models import Operation

LEASE_S = 10.0
HEARTBEAT_S = 2.5


class LeaseLost(Exception):
    """Another runner has taken the operation over."""


class Lease:
    """The right to work on one operation, and so on its client, renewed while it is held."""

    def __init__(self, control: ControlPlane, operation_id: uuid.UUID, runner: str) -> None:
        self._control = control
        self._operation_id = operation_id
        self._runner = runner

    async def take(self) -> bool:
        """Take the operation if it is due and nobody holds it, or another one of its client."""
        now = func.clock_timestamp()
        client = select(Operation.client_id).where(Operation.id == self._operation_id).scalar_subquery()
        # Who takes another operation of the client at the same time waits for us here, and sees our lease after it.
        rivals = (
            select(Operation.id)
            .where(
                or_(Operation.id == self._operation_id, Operation.client_id == client), Operation.state.in_(OPEN_STATES)
            )
            .order_by(Operation.id)
            .with_for_update()
        )
        query = (
            update(Operation)
            .where(Operation.id == self._operation_id, is_due())
            .values(
                state="running", runner=self._runner, lease_until=now + timedelta(seconds=LEASE_S), not_before=None,
                attempts=Operation.attempts + 1, started_at=func.coalesce(Operation.started_at, now),
            )
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        async with self._control.session() as session:
            await session.execute(rivals)
            return cast("CursorResult[Any]", await session.execute(query)).rowcount == 1

    async def change(self, session: AsyncSession, **values: object) -> None:
        """Renew the lease and change the operation, in the caller's transaction.

        Errors: LeaseLost, which undoes that transaction.
        """
        renewed = {"lease_until": func.clock_timestamp() + timedelta(seconds=LEASE_S)}
        query = (
            update(Operation)
            .where(Operation.id == self._operation_id, Operation.runner == self._runner)
            .values(**(renewed | values))
            .execution_options(synchronize_session=False)
        )
        if cast("CursorResult[Any]", await session.execute(query)).rowcount == 0:
            raise LeaseLost

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine while renewing the lease; it is cancelled if the lease is lost.

        Errors: LeaseLost; and what the coroutine raises.
        """
        working, beating = asyncio.create_task(work), asyncio.create_task(self._beat())
        try:
            await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost = beating.done() and not working.done()
            beating.cancel()
            if not working.done():
                working.cancel()
            await asyncio.gather(working, beating, return_exceptions=True)
        if lost:
            raise LeaseLost
        working.result()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                async with self._control.session() as session:
                    await self.change(session)
            except StoreUnavailable:
                # The lease runs on or runs out; the next write of the runner finds out which.
                continue
