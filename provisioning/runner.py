"""Carry out operations: take a lease, run the steps in order, record each, undo all on a failure for good.

Called by the workers, by `Prefer: wait` and by the CLI; what each kind consists of is in `provisioning.plans`.
"""

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Update, func, select, update

from provisioning.audit import GROVE, record
from provisioning.failures import describe, is_passing
from provisioning.grafana.client import GrafanaAdmin
from provisioning.leases import Lease, LeaseLost
from provisioning.operations import OperationView, get_operation
from provisioning.plans import PLANS, Plan
from provisioning.sealed import without_url
from provisioning.templates import Templates
from provisioning.work import Means, Skipped, Step, Work
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.models import Operation, OperationStep
from tenants.vault import Vault

MAX_BACK_OFF_S = 300
_FINISHED = ("done", "skipped")
_NOTHING_LEFT = ("skipped", "undone")

log = structlog.get_logger()


class OperationRunner:
    """Runs one operation at a time per call; any number of runners may compete, in any number of processes.

    `control` and `main_url` are the administrator's; `announce` (`RevocationFeed.announce`) is called after a change
    that every process must hear of. `means` is what the steps work with.
    """

    def __init__(
        self,
        control: ControlPlane,
        *,
        vault: Vault,
        main_url: str,
        clock: Clock,
        announce: Callable[[], Awaitable[None]] | None = None,
        grafana: GrafanaAdmin | None = None,
        templates: Templates | None = None,
    ) -> None:
        self.means = Means(
            control=control, vault=vault, main_url=main_url, clock=clock, grafana=grafana, templates=templates
        )
        self._control = control
        self._announce = announce

    async def run(self, operation_id: uuid.UUID) -> OperationView:
        """Carry an operation as far as it goes now, and return how it then stands.

        Shape: `pending` means that something was away and it will be tried again at `not_before`; an operation that
        another runner holds is returned as it is.
        Errors: NotFound; StoreUnavailable if the control plane itself is away.
        """
        lease = Lease(self._control, operation_id, secrets.token_hex(8))
        if await lease.take():
            async with self._control.session() as session:
                row = await session.get_one(Operation, operation_id)
            try:
                await lease.run(_Run(Work(row, self.means), lease, PLANS[row.kind]).go())
            except LeaseLost:
                log.warning("operation_taken_over", operation_id=str(operation_id))
            if self._announce is not None:
                await self._announce()
        async with self._control.session() as session:
            return await get_operation(session, operation_id)


class _Run:
    """One run of one operation under a lease; every change of its rows renews the lease or fails."""

    def __init__(self, work: Work, lease: Lease, plan: Plan) -> None:
        self._work = work
        self._lease = lease
        self._plan = plan

    async def go(self) -> None:
        """Run forward, or go on undoing where that had begun."""
        try:
            error = await self._forward()
            if error is not None and await self._undo():
                await self._finish("failed")
        except asyncio.CancelledError:
            # The process is stopping: let another runner go on at once. A crash is found by its lease running out.
            await asyncio.shield(self._release())
            raise

    async def _forward(self) -> dict[str, Any] | None:
        """Run every step that is not done yet; return why all must be undone, if so."""
        for position, step in enumerate(self._plan.steps):
            error, state = await self._begin(position)
            if error is not None:
                return error
            if state in _FINISHED:
                continue
            try:
                values = {"state": "done", "detail": await step.ensure(self._work)}
            except Skipped as reason:
                values = {"state": "skipped", "detail": f"skipped: {reason}"}
            except LeaseLost:
                raise
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is recorded, retried or undone
                return await self._failed(position, step, failure)
            await self._end(position, values)
        await self._finish("succeeded")
        return None

    async def _undo(self) -> bool:
        """Undo, in reverse, every step that was begun; tell whether all is undone."""
        for position in reversed(range(len(self._plan.steps))):
            step = self._plan.steps[position]
            if not await self._is_begun(position):
                continue
            try:
                await step.undo(self._work)
            except LeaseLost:
                raise
            except Exception as failure:  # noqa: BLE001 - recorded, and tried again later
                self._log(step, failure, "operation_undo_delayed")
                await self._delay(position, failure, state=None)
                return False
            await self._end(position, {"state": "undone"})
        return True

    async def _failed(self, position: int, step: Step, failure: Exception) -> dict[str, Any] | None:
        """Record a failure: to be tried again, or for good; return the error if all must be undone."""
        if is_passing(failure) or self._plan.endless:
            self._log(step, failure, "operation_delayed")
            await self._delay(position, failure, state="pending")
            return None
        self._log(step, failure, "operation_failed")
        field = getattr(failure, "field", None)
        error = {"code": _code(failure), "detail": describe(failure), "step": step.name, "pointer": field}
        async with self._work.control.session() as session:
            await self._lease.change(session, error=error)
            await session.execute(self._step(position).values(state="failed", last_error=describe(failure)))
        return error

    async def _begin(self, position: int) -> tuple[dict[str, Any] | None, str]:
        """Note that a step starts; return the reason to undo, if there is one by now, and the state it was in."""
        async with self._work.control.session() as session:
            await self._lease.change(session)
            error = await session.scalar(select(Operation.error).where(Operation.id == self._work.operation_id))
            row = await session.get_one(OperationStep, (self._work.operation_id, position))
            state = row.state
            if error is None and state not in _FINISHED:
                row.state, row.attempts, row.started_at = (
                    "running",
                    row.attempts + 1,
                    row.started_at or self._work.clock(),
                )
        return error, state

    async def _end(self, position: int, values: dict[str, Any]) -> None:
        async with self._work.control.session() as session:
            kept = {} if self._work.result is None else {"result": self._work.result}
            await self._lease.change(session, **kept)
            await session.execute(
                self._step(position).values(last_error=None, finished_at=self._work.clock(), **values)
            )

    async def _delay(self, position: int, failure: Exception, *, state: str | None) -> None:
        async with self._work.control.session() as session:
            await self._lease.change(session)
            attempts = await session.scalar(select(Operation.attempts).where(Operation.id == self._work.operation_id))
            wait_s = min(MAX_BACK_OFF_S, 2 ** min(attempts or 1, 10))
            not_before = func.clock_timestamp() + timedelta(seconds=wait_s)
            await self._lease.change(session, state="pending", not_before=not_before, lease_until=None)
            values: dict[str, Any] = {"last_error": describe(failure)} | ({} if state is None else {"state": state})
            await session.execute(self._step(position).values(**values))

    async def _finish(self, state: str) -> None:
        async with self._work.control.session() as session:
            row = await session.get_one(Operation, self._work.operation_id, with_for_update=True)
            # Keys may have been shown, and so erased, since this run began: what is stored counts.
            sealed = None if state == "failed" else without_url(row.sealed, self._work.vault)
            finished_at = self._work.clock()
            await self._lease.change(session, state=state, finished_at=finished_at, lease_until=None, sealed=sealed)
            record(session, GROVE, f"{row.kind}.{state}", row.client_id, operation_id=str(row.id))

    async def _release(self) -> None:
        async with self._work.control.session() as session:
            await self._lease.change(session, state="pending", lease_until=None)

    async def _is_begun(self, position: int) -> bool:
        """Tell whether a step may have left anything: one that waits for another try may, too.

        The first step's undo also takes back what was stored with the intent, such as a reserved id.
        """
        async with self._work.control.session() as session:
            await self._lease.change(session)
            row = await session.get_one(OperationStep, (self._work.operation_id, position))
            return (position == 0 or row.attempts > 0) and row.state not in _NOTHING_LEFT

    def _step(self, position: int) -> Update:
        return update(OperationStep).where(
            OperationStep.operation_id == self._work.operation_id, OperationStep.position == position
        )

    def _log(self, step: Step, failure: Exception, event: str) -> None:
        log.warning(
            event, operation_id=str(self._work.operation_id), client=self._work.client_id, step=step.name,
            error=type(failure).__name__, detail=describe(failure),
        )  # fmt: skip


def _code(failure: Exception) -> str:
    name = type(failure).__name__
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
