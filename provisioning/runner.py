"""Carry out operations: take a lease, run the steps in order, record each, undo all on a failure for good.

Called by the workers, by `Prefer: wait` and by the CLI; what each kind consists of is in `provisioning.plans`.
"""

import uuid
from collections.abc import Awaitable, Callable

from provisioning.operations import OperationView
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.vault import Vault


class OperationRunner:
    """Runs one operation at a time per call; any number of runners may compete, in any number of processes.

    `control` and `main_url` are the administrator's; `announce` (`RevocationFeed.announce`) is called after a change
    that every process must hear of.
    """

    def __init__(
        self,
        control: ControlPlane,
        *,
        vault: Vault,
        main_url: str,
        clock: Clock,
        announce: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        raise NotImplementedError

    async def run(self, operation_id: uuid.UUID) -> OperationView:
        """Carry an operation as far as it goes now, and return how it then stands.

        Shape: `pending` means that something was away and it will be tried again at `not_before`; an operation that
        another runner holds is returned as it is.
        Errors: NotFound; StoreUnavailable if the control plane itself is away.
        """
        raise NotImplementedError

    async def run_due(self) -> int:
        """Carry out everything that is due, one after the other; return how many were taken up."""
        raise NotImplementedError
