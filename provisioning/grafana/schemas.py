"""Have a client's Grafana follow its event schemas: a step of `provisioning.schemas.publication`."""

from provisioning.grafana.dashboards import ensure_dashboards, ensure_folders
from provisioning.grafana.folders import drop_folder
from provisioning.grafana.organisations import ensure_organisation
from provisioning.grafana.visit import OPEN, open_visit
from provisioning.schemas.dashboard import FOLDER
from provisioning.work import Skipped, Work


async def follow_schemas(work: Work) -> str:
    """Have the dashboards of the client's schemas, and neither those of others nor an empty folder for them."""
    visit = await open_visit(work)
    if visit.site.status not in OPEN:
        raise Skipped("onboarding makes the client's Grafana")
    await ensure_organisation(visit, adopting=False)
    await ensure_folders(visit)
    await ensure_dashboards(visit)
    await drop_folder(visit, FOLDER)
    visit.changes.require()
    return visit.changes.summary()
