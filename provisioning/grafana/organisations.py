"""A client's organisation in Grafana: found, made or taken over, and never anybody else's.

An organisation is called as its client's id. Which client it belongs to is told by the login that its datasource
reads the database with: such a login is one client's alone, on one server of Grove.
"""

from typing import Any
from urllib.parse import quote

from sqlalchemy import ColumnElement, delete, or_, select

from provisioning.grafana.changes import Change
from provisioning.grafana.client import ADMIN, make_once
from provisioning.grafana.visit import Visit, login_prefix
from provisioning.templates import DATASOURCE
from tenants.errors import OrganisationRefused
from tenants.models import Client, DashboardInstalled
from tenants.revocations import revoke

MAIN_ORG = 1
# The platform's own organisation; no client's id has a capital letter or a space.
PLATFORM = "Grove platform"
_FIELD = "/grafanaOrgId"
# Marks what our own request has made, and whose answer has arrived: it is nobody else's, and empty.
_MADE = "made"


async def ensure_organisation(visit: Visit, *, adopting: bool) -> str:
    """Enter the client's organisation, making it if need be, and record its number.

    Shape: with `adopting`, a number that the request gave must exist; later one that is gone is replaced, because
    Grafana has lost its database then.
    Errors: OrganisationRefused for an organisation that is, or may be, somebody else's.
    """
    recorded = visit.site.org_id
    if recorded is not None:
        found = await visit.grafana.find(f"/api/orgs/{recorded}")
        if found is not None and await _is_ours(visit, found, given=visit.site.org_given):
            return await _enter(visit, found, given=visit.site.org_given)
        if visit.site.org_given and adopting:
            raise _refusal(recorded, found)
    return await _ensure_named(visit)


async def drop_organisation(visit: Visit) -> None:
    """Remove the organisation, unless it was there before the client; its people must be gone by then."""
    org = await find_organisation(visit)
    if org is not None and not visit.site.org_given:
        await visit.grafana.delete(f"/api/orgs/{org}")
    await _record(visit, None, given=False)


async def find_organisation(visit: Visit) -> int | None:
    """Find the organisation that is certainly this client's, and enter it."""
    candidates: list[tuple[Any, bool]] = []
    if visit.site.org_id is not None:
        candidates.append((await visit.grafana.find(f"/api/orgs/{visit.site.org_id}"), visit.site.org_given))
    candidates.append((await visit.grafana.find(_by_name(visit)), False))
    for found, given in candidates:
        if found is not None and await _is_ours(visit, found, given=given):
            visit.enter(int(found["id"]))
            return int(found["id"])
    return None


async def _ensure_named(visit: Visit) -> str:
    name = visit.site.client_id
    found = await visit.grafana.find(_by_name(visit))
    if found is None:
        visit.changes.note(Change("create", "organisation", name))
        if visit.changes.rehearse:
            return "an organisation is to be made"
        found = await make_once(lambda: _create(visit), lambda: visit.grafana.find(_by_name(visit)))
    is_new = found.get(_MADE, False)
    if not is_new and not await _is_ours(visit, found, given=False):
        raise OrganisationRefused(
            f"Grafana has an organisation of this client's name that is not Grove's: {found['id']}."
        )
    return await _enter(visit, found, given=False, is_new=is_new)


async def _create(visit: Visit) -> dict[str, Any]:
    made = await visit.grafana.create("/api/orgs", {"name": visit.site.client_id})
    return {"id": made["orgId"], "name": visit.site.client_id, _MADE: True}


async def _enter(visit: Visit, found: dict[str, Any], *, given: bool, is_new: bool = False) -> str:
    org = int(found["id"])
    if org != visit.site.org_id and visit.changes.rehearse:
        visit.changes.note(Change("change", "organisation", found["name"], f"is number {org} now"))
    elif org != visit.site.org_id:
        await _record(visit, org, given=given)
    visit.enter(org, is_new=is_new)
    return f"organisation {org}"


async def _is_ours(visit: Visit, found: dict[str, Any], *, given: bool) -> bool:
    """Tell whether an organisation is this client's, or empty and free to become it."""
    org = int(found["id"])
    if org == MAIN_ORG or found["name"] == PLATFORM:
        return False
    members = [str(member["login"]) for member in await visit.grafana.get(f"/api/orgs/{org}/users")]
    own = login_prefix(visit.site.client_id)
    strangers = any(login != ADMIN and not login.startswith(own) for login in members)
    if ADMIN not in members:
        # Only an organisation that others made is without us, and into it we see from within alone.
        if not given or strangers or await _belongs_to_another(visit, found):
            return False
        wanted = {"loginOrEmail": ADMIN, "role": "Admin"}
        change = Change("create", "member", ADMIN)
        await visit.changes.make(change, lambda: visit.grafana.create(f"/api/orgs/{org}/users", wanted))
        if visit.changes.rehearse:
            return True
    datasource = await visit.grafana.find(f"/api/datasources/uid/{DATASOURCE}", org=org)
    if datasource is not None:
        return bool(datasource.get("user") == visit.place.row.login_role)
    if not given and found["name"] != visit.site.client_id:
        return False
    return not strangers and not await _belongs_to_another(visit, found)


async def _belongs_to_another(visit: Visit, found: dict[str, Any]) -> bool:
    recorded = Client.grafana_org_id == int(found["id"])
    its: ColumnElement[bool]
    if found["name"] == visit.site.client_id:
        # Numbers that others have recorded may be of the time before Grafana lost its database; names are of now, but
        # one that was taken over keeps whatever name it has.
        its = recorded & Client.grafana_org_given
    else:
        its = or_(recorded, Client.id == found["name"])
    others = select(Client.id).where(Client.id != visit.site.client_id, its)
    async with visit.work.control.session() as session:
        return (await session.scalars(others)).first() is not None


async def _record(visit: Visit, org: int | None, *, given: bool) -> None:
    """Record the organisation's number; what was installed in another one is not installed in this one."""
    async with visit.work.control.session() as session:
        client = await session.get(Client, visit.site.client_id, with_for_update=True)
        if client is None or client.grafana_org_id == org:
            return
        if client.grafana_org_id is not None:
            await session.execute(delete(DashboardInstalled).where(DashboardInstalled.client_id == client.id))
        client.grafana_org_id, client.grafana_org_given = org, given
        client.updated_at = visit.work.clock()
        revoke(session, "client", client.id)


def _refusal(org: int | None, found: object) -> OrganisationRefused:
    if found is None:
        return OrganisationRefused("Grafana has no organisation of this number.", field=_FIELD)
    if org == MAIN_ORG:
        return OrganisationRefused("Organisation 1 is Grafana's own and no client's.", field=_FIELD)
    detail = "This organisation belongs to another client, or people are in it who are not this client's."
    return OrganisationRefused(detail, field=_FIELD)


def _by_name(visit: Visit) -> str:
    return f"/api/orgs/name/{quote(visit.site.client_id, safe='')}"
