"""The steps of onboarding that give a client its Grafana, their undoing, and the same for removal.

Listed in `provisioning.plans` and `provisioning.removal`. The client is switched on before them, so it takes events
while Grafana is away.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from provisioning.grafana.dashboards import (
    drop_dashboards,
    drop_folders,
    drop_home,
    ensure_dashboards,
    ensure_folders,
    ensure_home,
)
from provisioning.grafana.datasources import check_datasources, drop_datasources, ensure_datasources
from provisioning.grafana.organisations import drop_organisation, ensure_organisation, find_organisation
from provisioning.grafana.people import drop_people, ensure_people
from provisioning.grafana.visit import Visit, open_visit
from provisioning.work import Skipped, Step, Work, undo_nothing
from tenants.errors import NotFound

Ensure = Callable[[Visit], Awaitable[str]]
Drop = Callable[[Visit], Awaitable[None]]


async def ensure_own_organisation(work: Work) -> str:
    """Find, make or take over the client's organisation."""
    return await ensure_organisation(await open_visit(work), adopting=True)


async def drop_own_organisation(work: Work) -> None:
    """Remove the organisation and, should there be any, the client's users before it."""
    visit = await _find_visit(work)
    if visit is not None:
        await find_organisation(visit)
        await drop_people(visit)
        await drop_organisation(visit)


def _within(act: Ensure) -> Callable[[Work], Coroutine[Any, Any, str | None]]:
    """Do something in the organisation that an earlier step made."""

    async def ensure(work: Work) -> str:
        visit = await open_visit(work)
        if work.grafana_org is not None:
            visit.enter(work.grafana_org, is_new=work.grafana_org_is_new)
        elif await find_organisation(visit) is None:
            # Grafana has lost it since; all is made anew, this step's part after the others'.
            await ensure_organisation(visit, adopting=False)
            await ensure_datasources(visit)
            await ensure_people(visit)
            await ensure_folders(visit)
            await ensure_dashboards(visit)
            await ensure_home(visit)
            visit.enter(visit.org)
        detail = await act(visit)
        visit.changes.require()
        return detail

    return ensure


def _undone(act: Drop) -> Callable[[Work], Coroutine[Any, Any, None]]:
    """Take something out of an organisation that stays; where it goes as a whole, that is left to it."""

    async def undo(work: Work) -> None:
        visit = await _find_visit(work)
        if visit is not None and visit.site.org_given and await find_organisation(visit) is not None:
            await act(visit)

    return undo


async def _drop_users(work: Work) -> None:
    visit = await _find_visit(work)
    if visit is not None:
        await find_organisation(visit)
        await drop_people(visit)


async def _find_visit(work: Work) -> Visit | None:
    try:
        return await open_visit(work, leaving=True)
    except (Skipped, NotFound):
        return None


async def _remove_users(work: Work) -> str | None:
    return await _told(work, _drop_users)


async def _remove_organisation(work: Work) -> str | None:
    return await _told(work, _take_everything)


async def _take_everything(work: Work) -> None:
    for step in (HOME, DASHBOARDS, FOLDERS, DATASOURCE):
        await step.undo(work)
    await drop_own_organisation(work)


async def _told(work: Work, act: Callable[[Work], Awaitable[None]]) -> str | None:
    if work.grafana is None:
        raise Skipped("no Grafana configured")
    await act(work)
    return None


ORGANISATION = Step("grafana_organisation", ensure_own_organisation, drop_own_organisation)
DATASOURCE = Step("grafana_datasource", _within(ensure_datasources), _undone(drop_datasources))
HEALTH = Step("grafana_health", _within(check_datasources), undo_nothing)
FOLDERS = Step("grafana_folders", _within(ensure_folders), _undone(drop_folders))
DASHBOARDS = Step("grafana_dashboards", _within(ensure_dashboards), _undone(drop_dashboards))
HOME = Step("grafana_home", _within(ensure_home), _undone(drop_home))
PEOPLE = Step("grafana_staff", _within(ensure_people), _drop_users)

# People come early: nothing about dashboards holds up who has access.
GRAFANA = (ORGANISATION, DATASOURCE, PEOPLE, HEALTH, FOLDERS, DASHBOARDS, HOME)
# People first: no user may be left pointing at an organisation that is gone.
GRAFANA_REMOVAL = (
    Step("grafana_staff", _remove_users, undo_nothing),
    Step("grafana_organisation", _remove_organisation, undo_nothing),
)
