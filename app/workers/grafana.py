"""The daily look at whether each client's Grafana is as it should be, and the monthly change of its passwords.

Scheduled. What differs is repaired by an operation, so that it can be read afterwards what it was; the platform's own
organisation is repaired at once.
"""

import asyncio

import structlog

from app.workers.queue import JobQueue
from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from provisioning.audit import GROVE
from provisioning.grafana.orders import is_onboarding, request_reconciliation
from provisioning.grafana.platform import ensure_platform
from provisioning.grafana.reconcile import rehearse
from provisioning.work import Means, Skipped
from tenants.errors import ClientLeaving, GroveError
from tenants.placement import TenantContext

log = structlog.get_logger()


async def reconcile_grafana(resources: WorkerResources, jobs: JobQueue) -> int:
    """Order a repair for every client whose Grafana differs from the control plane; return how many."""

    async def visit(client: TenantContext) -> int:
        try:
            found = await rehearse(resources.runner.means, client.tenant_id)
        except (Skipped, ClientLeaving):
            return 0
        if all(change.action == "keep" for change in found):
            return 0
        log.warning("grafana_differs", client_id=client.tenant_id, changes=len(found))
        return await _order(resources, jobs, client, rotate=False)

    if not _is_there(resources):
        return 0
    await look_after_platform(resources.runner.means)
    return await visit_clients(resources, "reconcile_grafana", visit)


async def look_after_platform(means: Means, *, within_s: float | None = None) -> None:
    """Have the platform's own organisation as it should be; a Grafana that does not let us stops nobody."""
    try:
        async with asyncio.timeout(within_s):
            changes = await ensure_platform(means)
    except Skipped as reason:
        log.info("platform_organisation_skipped", reason=str(reason))
    except (GroveError, TimeoutError) as error:
        log.warning("platform_organisation_not_made", error=type(error).__name__, detail=str(error))
    else:
        if changes:
            log.info("platform_organisation_repaired", changes=len(changes))


async def rotate_passwords(resources: WorkerResources, jobs: JobQueue) -> int:
    """Order another password for every client's login in Grafana; return how many."""

    async def visit(client: TenantContext) -> int:
        return await _order(resources, jobs, client, rotate=True)

    return await visit_clients(resources, "rotate_passwords", visit) if _is_there(resources) else 0


def _is_there(resources: WorkerResources) -> bool:
    return resources.runner.means.grafana is not None


async def _order(resources: WorkerResources, jobs: JobQueue, client: TenantContext, *, rotate: bool) -> int:
    """Order it, unless the client's Grafana is still being made, or the client is about to go."""
    async with resources.control.session() as session:
        if client.status not in {"active", "suspended"} or await is_onboarding(session, client.tenant_id):
            return 0
        operation_id = await request_reconciliation(session, client.tenant_id, GROVE, rotate=rotate)
    await jobs.defer_operation(operation_id)
    return 1
