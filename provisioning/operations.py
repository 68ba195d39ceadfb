"""Operations and their steps in the control plane: made, found, and shown as they are.

Called by the routes, the CLI and the workers; `provisioning.runner` is what carries them out.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from provisioning.audit import GROVE, Actor, record
from tenants.errors import NotFound
from tenants.models import Operation, OperationStep

OPEN_STATES = ("pending", "running")


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step as it is now. `state`: pending, running, done, skipped, failed, undone."""

    name: str
    state: str
    attempts: int
    detail: str | None = None
    last_error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class OperationView(msgspec.Struct, frozen=True, kw_only=True):
    """An operation as it is now, without any secret. `state`: pending, running, succeeded, failed.

    Shape: `error` is `{code, detail, step?}`; while it is set and the state is not `failed`, steps are being undone.
    """

    id: uuid.UUID
    kind: str
    client_id: str | None
    state: str
    actor: str
    steps: list[StepView]
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    not_before: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in OPEN_STATES


class NewOperation(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done. `steps` are names in order; `sealed` holds what nobody may read."""

    kind: str
    client_id: str | None
    steps: Sequence[str]
    input: dict[str, Any] = {}
    sealed: bytes | None = None


def add_operation(session: AsyncSession, new: NewOperation, actor: Actor) -> uuid.UUID:
    """Store the intent to do something; a runner picks it up once this transaction has committed."""
    operation_id = uuid.uuid4()
    session.add(
        Operation(
            id=operation_id, client_id=new.client_id, kind=new.kind, state="pending", actor=actor.name,
            input=new.input, sealed=new.sealed,
        )
    )  # fmt: skip
    for position, name in enumerate(new.steps):
        session.add(OperationStep(operation_id=operation_id, position=position, name=name, state="pending", attempts=0))
    return operation_id


def add_finished_operation(
    session: AsyncSession, kind: str, client_id: str, actor: Actor, now: datetime, result: dict[str, Any] | None = None
) -> uuid.UUID:
    """Store an operation whose whole work is done in this very transaction."""
    operation_id = uuid.uuid4()
    session.add(
        Operation(
            id=operation_id, client_id=client_id, kind=kind, state="succeeded", actor=actor.name, input={},
            result=result, started_at=now, finished_at=now, attempts=1,
        )
    )  # fmt: skip
    return operation_id


async def get_operation(session: AsyncSession, operation_id: uuid.UUID) -> OperationView:
    """Read an operation with its steps.

    Errors: NotFound.
    """
    await session.flush()
    row = await session.get(Operation, operation_id, populate_existing=True)
    if row is None:
        raise NotFound("No such operation.")
    query = select(OperationStep).where(OperationStep.operation_id == operation_id).order_by(OperationStep.position)
    steps = await session.execute(query.execution_options(populate_existing=True))
    return _view(row, [msgspec.convert(step, StepView, from_attributes=True) for step in steps.scalars()])


async def find_open_operation(session: AsyncSession, client_id: str, kind: str) -> uuid.UUID | None:
    """Find the unfinished operation of a kind on a client."""
    query = select(Operation.id).where(
        Operation.client_id == client_id, Operation.kind == kind, Operation.state.in_(OPEN_STATES)
    )
    return (await session.execute(query.order_by(Operation.created_at).limit(1))).scalar_one_or_none()


async def find_last_operation(session: AsyncSession, client_id: str, kind: str) -> uuid.UUID | None:
    """Find the latest operation of a kind on a client, finished or not."""
    query = select(Operation.id).where(Operation.client_id == client_id, Operation.kind == kind)
    return (await session.execute(query.order_by(Operation.created_at.desc()).limit(1))).scalar_one_or_none()


def is_due() -> ColumnElement[bool]:
    """State that an operation may be taken up now.

    Shape: it is pending and its back-off is over, or its runner has been lost; and no other operation of its client
    is being worked on, as no two of them may be at once.
    """
    now, other = func.clock_timestamp(), aliased(Operation)
    return (
        Operation.state.in_(OPEN_STATES)
        & or_(Operation.not_before.is_(None), Operation.not_before <= now)
        & or_(Operation.lease_until.is_(None), Operation.lease_until < now)
        & ~exists().where(
            other.client_id == Operation.client_id,
            other.id != Operation.id,
            other.state.in_(OPEN_STATES),
            other.lease_until >= now,
        )
    )


async def unscoped_due_operations(session: AsyncSession, *, limit: int = 100) -> list[uuid.UUID]:
    """List what a runner should take up now, oldest first."""
    query = select(Operation.id).where(is_due()).order_by(Operation.created_at).limit(limit)
    return list((await session.execute(query)).scalars())


async def find_due_operations(session: AsyncSession, client_id: str) -> list[uuid.UUID]:
    """List what a runner should take up now for a client, oldest first."""
    query = select(Operation.id).where(is_due(), Operation.client_id == client_id).order_by(Operation.created_at)
    return list((await session.execute(query)).scalars())


async def close_others(session: AsyncSession, operation_id: uuid.UUID, client_id: str, *, now: datetime) -> None:
    """End whatever else is open for a client that is being removed, without undoing it: the removal takes it all.

    A runner that was thought to be lost loses its lease with it, and can record nothing more.
    """
    query = select(Operation).where(
        Operation.client_id == client_id, Operation.id != operation_id, Operation.state.in_(OPEN_STATES)
    )
    for other in await session.scalars(query.order_by(Operation.id).with_for_update()):
        other.error = {"code": "cancelled", "detail": "The client was removed."}
        other.state, other.finished_at, other.sealed = "failed", now, None
        other.runner = other.lease_until = other.not_before = None
        running = update(OperationStep).where(OperationStep.operation_id == other.id, OperationStep.state == "running")
        await session.execute(running.values(state="failed"))
        record(session, GROVE, f"{other.kind}.failed", client_id, operation_id=str(other.id))


def _view(row: Operation, steps: list[StepView]) -> OperationView:
    return OperationView(
        id=row.id, kind=row.kind, client_id=row.client_id, state=row.state, actor=row.actor, steps=steps,
        result=row.result, error=row.error, created_at=row.created_at, started_at=row.started_at,
        finished_at=row.finished_at, not_before=row.not_before,
    )  # fmt: skip
