"""Hand an operation to the workers and, if the caller likes, wait for it.

Called by the routes that answer with an operation; the work itself never happens in a web process.
"""

import asyncio
import time
from typing import Annotated, Protocol, runtime_checkable
from uuid import UUID

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.params import HeaderParameter

from app.api.preferences import wait_of
from app.problems import OPERATION_PATH
from provisioning.operations import OperationView, get_operation
from tenants.control import ControlPlane
from tenants.errors import (
    AlreadyTaken,
    DatabaseRefused,
    GrafanaRefused,
    GroveError,
    InputRefused,
    OperationFailed,
    OrganisationRefused,
    WrongState,
)
from tenants.revocations import RevocationFeed

FIRST_POLL_S = 0.03
MAX_POLL_S = 0.15
RETRY_AFTER_S = 1

# By the code that the runner records; any other failure is none of the caller's.
_FAILURES: dict[str, type[GroveError]] = {
    "database_refused": DatabaseRefused,
    "already_taken": AlreadyTaken,
    "input_refused": InputRefused,
    "organisation_refused": OrganisationRefused,
    "grafana_refused": GrafanaRefused,
    "taken": GrafanaRefused,
    "cancelled": WrongState,
}

PreferHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer",
        description="`wait=N` waits up to N seconds (60 at most) for the work to end (RFC 7240).",
    ),
]


@runtime_checkable
class Doorbell(Protocol):
    """Tells the workers that there is something to do; `app.workers.queue.JobQueue` is the real one."""

    async def defer_operation(self, operation_id: UUID) -> None:
        """Ask for an operation to be run now."""


class Dispatcher(msgspec.Struct, frozen=True):
    """Sends operations on their way. `wait_s` is how long the caller waits; None if it did not say."""

    control: ControlPlane
    feed: RevocationFeed
    jobs: Doorbell
    wait_s: int | None

    async def dispatch(self, operation_id: UUID) -> OperationView:
        """Have an operation run and return how it stands once it ended, or the caller's patience did.

        Call it after the transaction that stored the operation.
        Errors: what the operation failed with, if the caller wanted to wait for it.
        """
        view = await self.settle(operation_id)
        if view.state == "failed" and self.wait_s is not None:
            raise failure_of(view)
        return view

    async def settle(self, operation_id: UUID) -> OperationView:
        """Do as `dispatch`, where the operation's failure is none of what the caller asked for."""
        await self.feed.announce()
        view = await self._read(operation_id)
        if not view.finished:
            await self.jobs.defer_operation(operation_id)
        ends_at, pause_s = time.monotonic() + (self.wait_s or 0), FIRST_POLL_S
        while not view.finished and (left_s := ends_at - time.monotonic()) > 0:
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, MAX_POLL_S)
            view = await self._read(operation_id)
        return view

    async def ring(self, *operation_ids: UUID | None) -> None:
        """Tell every process of a change, and the workers of what follows from it; nobody waits for that."""
        await self.feed.announce()
        for operation_id in operation_ids:
            if operation_id is not None:
                await self.jobs.defer_operation(operation_id)

    def headers(self, view: OperationView) -> dict[str, str]:
        """Write the headers that go with an operation."""
        headers = {"Location": f"{OPERATION_PATH}/{view.id}", "Cache-Control": "no-store"}
        if not view.finished:
            headers["Retry-After"] = str(RETRY_AFTER_S)
        if self.wait_s is not None:
            headers["Preference-Applied"] = f"wait={self.wait_s}"
        return headers

    async def answer(self, operation_id: UUID) -> Response[OperationView]:
        """Dispatch an operation and answer with it: 200 once it has ended, else 202."""
        view = await self.dispatch(operation_id)
        return Response(view, status_code=200 if view.finished else 202, headers=self.headers(view))

    async def _read(self, operation_id: UUID) -> OperationView:
        async with self.control.session() as session:
            return await get_operation(session, operation_id)


async def provide_dispatcher(
    control: NamedDependency[ControlPlane],
    feed: NamedDependency[RevocationFeed],
    jobs: NamedDependency[Doorbell],
    prefer: PreferHeader = None,
) -> Dispatcher:
    """Read how long the caller is willing to wait."""
    return Dispatcher(control, feed, jobs, wait_of(prefer))


def failure_of(view: OperationView) -> GroveError:
    """Turn a failed operation into the error that its caller is answered with."""
    error = view.error or {}
    kind = _FAILURES.get(str(error.get("code")), OperationFailed)
    found = kind(str(error.get("detail") or "The operation failed and was undone."), field=error.get("pointer"))
    found.operation_id = str(view.id)
    return found
