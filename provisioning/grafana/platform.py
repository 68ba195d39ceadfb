"""The platform's own organisation in Grafana, with the dashboards that tell how all clients' work goes.

Called at the start, by the daily job and by `grove grafana reconcile --all`. It has a name that no client's can have,
reads through a login that sees nothing of a client, and is made again from nothing like all others.
"""

from typing import Any
from urllib.parse import quote

from provisioning.grafana.changes import Change, Changes
from provisioning.grafana.client import ADMIN, make_once
from provisioning.grafana.connections import Target, address_of, ask_server, describe
from provisioning.grafana.dashboards import Wanted, save_dashboard
from provisioning.grafana.datasources import ensure_datasource, is_healthy, set_anew
from provisioning.grafana.folders import ensure_folder
from provisioning.grafana.home import make_home
from provisioning.grafana.organisations import MAIN_ORG, PLATFORM
from provisioning.grafana.titles import slug
from provisioning.grafana.visit import Room
from provisioning.platform_reader import PLATFORM_READER, ensure_platform_reader, platform_password
from provisioning.templates import DATASOURCE, Context, render, shipped_templates
from provisioning.work import Means, Skipped, administrator
from tenants.errors import OrganisationRefused

# In the datasource's settings: tells this Grove's organisation from one of another Grove on the same Grafana.
_MARK = "groveMark"
_ZONE = "UTC"
_BY_NAME = f"/api/orgs/name/{quote(PLATFORM)}"
# What Grafana itself writes into a dashboard that it saves.
_GRAFANAS = frozenset({"id", "uid", "version"})


async def ensure_platform(means: Means, *, rehearse: bool = False) -> list[Change]:
    """Have the organisation, its datasource, folder, dashboards and first page; tell what differed.

    Shape: members are left to Grafana's administrator, who alone looks at it; so are dashboards of their own.
    Errors: Skipped where there is no Grafana or no such login may be made; OrganisationRefused if the name is taken;
    GrafanaUnavailable.
    """
    if means.grafana is None:
        raise Skipped("no Grafana configured")
    if not rehearse and not await ensure_platform_reader(means.main_url, vault=means.vault):
        raise Skipped("the given login may make no login for the platform's dashboards")
    room = Room(means.grafana, Changes(rehearse=rehearse))
    mark = means.vault.password_for("mark/platform")
    if await _enter(room, mark):
        await _ensure_datasource(room, means, mark)
        await _ensure_dashboards(room)
    return room.changes.found


async def _enter(room: Room, mark: str) -> bool:
    """Enter the organisation; False in a rehearsal where there is none."""
    found = await room.grafana.find(_BY_NAME)
    if found is None:
        room.changes.note(Change("create", "organisation", PLATFORM))
        if room.changes.rehearse:
            return False
        found = await make_once(lambda: _create(room), lambda: room.grafana.find(_BY_NAME))
    if "name" in found and not await _is_ours(room, found, mark):
        raise OrganisationRefused(f"Grafana has an organisation “{PLATFORM}” that is not this Grove's: {found['id']}.")
    room.enter(int(found["id"]), is_new="name" not in found)
    return True


async def _create(room: Room) -> dict[str, Any]:
    """Make the organisation; unlike what a look-up finds, the answer has no name."""
    return {"id": (await room.grafana.create("/api/orgs", {"name": PLATFORM}))["orgId"]}


async def _is_ours(room: Room, found: dict[str, Any], mark: str) -> bool:
    """Tell whether an organisation has our datasource, or nothing and nobody yet."""
    org = int(found["id"])
    if org == MAIN_ORG:
        return False
    members = {member["login"] for member in await room.grafana.get(f"/api/orgs/{org}/users")}
    if ADMIN not in members:
        return False
    datasource = await room.grafana.find(f"/api/datasources/uid/{DATASOURCE}", org=org)
    if datasource is None:
        return members == {ADMIN}
    return bool((datasource.get("jsonData") or {}).get(_MARK) == mark)


async def _ensure_datasource(room: Room, means: Means, mark: str) -> None:
    url = means.main_url
    async with administrator(url) as connection:
        tls, version = await ask_server(connection, url)
        database = await connection.fetchval("SELECT pg_catalog.current_database()")
    target = Target(
        uid=DATASOURCE, name="Control plane", address=address_of(url, room.grafana.database_host), database=database,
        user=PLATFORM_READER, password=platform_password(means.vault), tls=tls, server_version=version,
    )  # fmt: skip
    wanted = await describe(room, target)
    wanted["jsonData"][_MARK] = mark
    await ensure_datasource(room, wanted)
    if (not room.changes.rehearse or not room.changes.mended) and not await is_healthy(room, DATASOURCE):
        change = Change("change", "datasource", DATASOURCE, "does not reach the database")
        await room.changes.make(change, lambda: set_anew(room, wanted))


async def _ensure_dashboards(room: Room) -> None:
    templates = shipped_templates()
    for template in templates.platform():
        model = render(template, Context(timezone=_ZONE))
        wanted = Wanted(template=template, version=templates.version, model=model)
        await ensure_folder(room, template.folder)
        found = await room.find_inside(f"/api/dashboards/uid/{wanted.uid}")
        if found is None:
            change = Change("create", "dashboard", wanted.uid, f"version {wanted.version}")
        elif _plain(found["dashboard"]) != _plain(model) or found["meta"]["folderUid"] != slug(template.folder):
            change = Change("change", "dashboard", wanted.uid, "is not as it was saved")
        else:
            continue
        await room.changes.make(change, lambda wanted=wanted: save_dashboard(room, wanted))  # type: ignore[misc]
    await make_home(room, templates.platform()[0].uid)


def _plain(model: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in model.items() if name not in _GRAFANAS}
