"""Compare a client's Grafana with the control plane, and repair it: the steps of `grafana.reconcile`, and a rehearsal.

Ordered by `provisioning.grafana.orders`. Whatever was lost is made again, a whole Grafana too; what is the staff's own
is kept.
"""

import uuid

import msgspec

from provisioning.grafana.changes import Change
from provisioning.grafana.dashboards import ensure_dashboards, ensure_folders, ensure_home, note_own_copies
from provisioning.grafana.datasources import check_datasources, ensure_datasources, rotate_password
from provisioning.grafana.organisations import ensure_organisation
from provisioning.grafana.people import ensure_people
from provisioning.grafana.visit import Visit, open_visit
from provisioning.work import Means, Skipped, Step, Work, undo_nothing
from tenants.models import Operation

ROTATE = "rotate"


async def rehearse(means: Means, client_id: str) -> list[Change]:
    """Tell what a repair would change; nothing is changed.

    Errors: Skipped where there is nothing to compare; NotFound; what Grafana's client raises.
    """
    operation = Operation(id=uuid.uuid4(), client_id=client_id, input={}, attempts=0, sealed=None)
    visit = await open_visit(Work(operation, means), rehearse=True)
    await _compare(visit)
    return visit.changes.found


async def repair(work: Work) -> str:
    """Bring everything to what it should be; the operation's result lists what differed."""
    visit = await open_visit(work)
    await _compare(visit)
    work.result = {"changes": msgspec.to_builtins(visit.changes.found)}
    return visit.changes.summary()


async def rotate(work: Work) -> str:
    """Give the client's login in Grafana another password, if that was ordered."""
    if not work.order.get(ROTATE):
        raise Skipped("not ordered")
    visit = await open_visit(work)
    await ensure_organisation(visit, adopting=False)
    await ensure_datasources(visit)
    return await rotate_password(visit)


async def _compare(visit: Visit) -> None:
    await ensure_organisation(visit, adopting=False)
    if not visit.has_org:
        # A rehearsal before there is an organisation: all that belongs into it is to be made as well.
        return
    await ensure_datasources(visit)
    can_be_asked = not visit.changes.rehearse or not visit.changes.mended
    # Before all that Grafana, or staff in it, may hold up.
    await ensure_people(visit)
    if can_be_asked:
        await check_datasources(visit)
    await ensure_folders(visit)
    await ensure_dashboards(visit)
    await note_own_copies(visit)
    await ensure_home(visit)


RECONCILIATION = (
    Step("grafana_password", rotate, undo_nothing),
    Step("grafana", repair, undo_nothing),
)
