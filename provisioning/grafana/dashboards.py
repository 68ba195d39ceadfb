"""The dashboards of a client's organisation: folders, Grove's dashboards in them, and the page that staff land on.

What Grove saved is recorded with the number that Grafana gave it, so that a change by anybody is seen; dashboards that
are not recorded are the staff's own and are left alone.
"""

import hashlib
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from provisioning.grafana.changes import Change
from provisioning.grafana.client import ADMIN, make_once
from provisioning.grafana.connections import SOURCE
from provisioning.grafana.folders import drop_folder, ensure_folder
from provisioning.grafana.home import clear_home, make_home
from provisioning.grafana.releases import templates_of
from provisioning.grafana.titles import claim_title, slug
from provisioning.grafana.visit import Room, Visit
from provisioning.schemas.dashboard import dashboards_of
from provisioning.templates import Template, Templates, context_of, render, shipped_templates
from provisioning.work import administrator
from tenants.errors import GrafanaRefused
from tenants.ids import TenantId
from tenants.models import DashboardInstalled
from tenants.placement import TenantContext
from tenants.registry import Registry
from tenants.relations import OWN_SHAPE
from tenants.sources import SourceShape, read_shape

# Grafana takes 40 characters; a copy's has an end of its own.
_UID_LENGTH = 28


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A dashboard as this client should have it."""

    template: Template
    version: int
    model: dict[str, Any]

    @property
    def uid(self) -> str:
        """The name that addresses are made of; the same in every organisation."""
        return self.template.uid

    @property
    def content_hash(self) -> str:
        """What tells whether the rendered dashboard, or its place, is another one."""
        whole = [slug(self.template.folder), self.model]
        return hashlib.sha256(msgspec.json.encode(whole, order="deterministic")).hexdigest()


async def ensure_folders(visit: Visit) -> str:
    """Have every folder that the client's dashboards are in."""
    titles = await _folders(visit)
    for title in titles:
        await visit.changes.attempt("folder", slug(title), lambda title=title: ensure_folder(visit, title))  # type: ignore[misc]
    return ", ".join(titles) or "none"


async def ensure_dashboards(visit: Visit) -> str:
    """Have Grove's dashboards as they should be, and none of Grove's that the client should not have."""
    installed = await _installed(visit)
    wanted = await wanted_dashboards(visit)
    for dashboard in wanted:
        row = installed.get(dashboard.uid)
        act = partial(_ensure_dashboard, visit, dashboard, row)
        await visit.changes.attempt("dashboard", dashboard.uid, act)
    for uid in installed.keys() - {dashboard.uid for dashboard in wanted}:
        await visit.changes.make(Change("remove", "dashboard", uid), lambda uid=uid: _remove(visit, uid))  # type: ignore[misc]
    return f"{len(wanted)} dashboards"


async def note_own_copies(visit: Visit) -> None:
    """List the dashboards that are the staff's own."""
    managed = {template.uid for template in (await _chosen(visit))[1]} | set(await _installed(visit))
    for found in await visit.grafana.get("/api/search?type=dash-db&limit=5000", org=visit.org):
        if found["uid"] not in managed:
            visit.changes.note(Change("keep", "dashboard", found["uid"], found.get("title")))


async def ensure_home(visit: Visit) -> str:
    """Have staff land on the first of the client's dashboards."""
    chosen = (await _chosen(visit))[1]
    if not chosen:
        return "none"
    uid = chosen[0].uid
    if visit.changes.has_refused("dashboard", uid):
        return "left as it is"
    await make_home(visit, uid)
    return uid


async def drop_home(visit: Visit) -> None:
    """Let people land nowhere in particular where they landed on a dashboard of Grove's."""
    await clear_home(visit, set(await _installed(visit)))


async def drop_folders(visit: Visit) -> None:
    """Take Grove's folders out of an organisation that stays; those stay in which others have put something."""
    for title in await _folders(visit):
        await drop_folder(visit, title)


async def drop_dashboards(visit: Visit) -> None:
    """Take Grove's dashboards out of an organisation that stays."""
    for uid in await _installed(visit):
        await _remove(visit, uid)


async def wanted_dashboards(visit: Visit) -> list[Wanted]:
    """Render the client's dashboards.

    Errors: NotFound for a version of the templates that is not kept; TemplateFault.
    """
    version, chosen = await _chosen(visit)
    client = await _client(visit)
    shape = await _shape(client) if any(template.reads == "chat" for template in chosen) else OWN_SHAPE
    attached = client.placement.source_url is not None
    found = []
    for template in chosen:
        own = context_of(client, shape=shape)
        in_source = attached and template.reads == "chat"
        context = context_of(client, shape=shape, datasource_uid=SOURCE) if in_source else own
        found.append(Wanted(template=template, version=version, model=render(template, context)))
    return found


async def _chosen(visit: Visit) -> tuple[int, list[Template]]:
    work = visit.work
    shipped = work.templates or shipped_templates()
    async with work.control.session() as session:
        templates: Templates = await templates_of(session, visit.site.template_version, shipped=shipped)
    return templates.version, dashboards_of(await _client(visit), templates)


async def _folders(visit: Visit) -> list[str]:
    return list(dict.fromkeys(template.folder for template in (await _chosen(visit))[1]))


async def _client(visit: Visit) -> TenantContext:
    work = visit.work
    async with work.control.session() as session:
        registry = Registry(work.control, vault=work.vault, main_url=work.main_url)
        return await registry.load(session, TenantId(visit.site.client_id))


async def _shape(client: TenantContext) -> SourceShape:
    """Look at an attached database, whose tables may lack what others have."""
    url, source = client.placement.source_url, client.placement.source
    if url is None or source is None:
        return OWN_SHAPE
    async with administrator(url) as connection:
        return await read_shape(connection.fetch, source)


async def _ensure_dashboard(visit: Visit, wanted: Wanted, installed: DashboardInstalled | None) -> None:
    found = await visit.find_inside(f"/api/dashboards/uid/{wanted.uid}")
    if found is None:
        change = Change("create", "dashboard", wanted.uid, f"version {wanted.version}")
    elif found["meta"].get("isFolder"):
        raise GrafanaRefused(f"A folder has the address of the dashboard “{wanted.uid}”.")
    elif installed is None:
        change = Change("change", "dashboard", wanted.uid, "is not recorded")
        # What we saved ourselves, and could not record, is not somebody's.
        if found["meta"].get("updatedBy") not in {ADMIN, None}:
            own = Change("create", "dashboard", f"copy of {wanted.uid}", "somebody else made it")
            await visit.changes.make(own, lambda: _copy(visit, found))
    elif found["meta"].get("version") != installed.saved_as:
        change = Change("change", "dashboard", wanted.uid, "was changed in Grafana")
    elif (installed.content_hash, installed.version) != (wanted.content_hash, wanted.version):
        change = Change("change", "dashboard", wanted.uid, f"version {installed.version} → {wanted.version}")
    else:
        return
    await visit.changes.make(change, lambda: _save(visit, wanted))


async def save_dashboard(room: Room, wanted: Wanted) -> int:
    """Save a dashboard over what has its `uid`, and return the number that Grafana gave to it."""
    folder = slug(wanted.template.folder)

    async def save() -> int:
        found = await room.find_inside(f"/api/dashboards/uid/{wanted.uid}")
        number = found["dashboard"]["version"] if found is not None else 0
        body = {
            "dashboard": wanted.model | {"id": None, "uid": wanted.uid, "version": number},
            "folderUid": folder,
            "overwrite": False,
            "message": f"template {wanted.version}",
        }
        saved = await room.grafana.create("/api/dashboards/db", body, org=room.org)
        return int(saved["version"])

    return await claim_title(room, wanted.template.title, save, uid=wanted.uid, folder=folder)


async def _save(visit: Visit, wanted: Wanted) -> None:
    """Save a dashboard and record it. A save that was not recorded is simply made again."""
    values = {
        "template": wanted.template.file, "version": wanted.version, "content_hash": wanted.content_hash,
        "saved_as": await save_dashboard(visit, wanted), "installed_at": visit.work.clock(),
    }  # fmt: skip
    query = insert(DashboardInstalled).values(client_id=visit.site.client_id, uid=wanted.uid, **values)
    async with visit.work.control.session() as session:
        await session.execute(query.on_conflict_do_update(index_elements=["client_id", "uid"], set_=values))


async def _copy(visit: Visit, found: dict[str, Any]) -> None:
    """Keep somebody else's dashboard beside Grove's; each version of it is copied once, however often it is tried."""
    model, version = found["dashboard"], found["meta"].get("version")
    uid = f"{model['uid'][:_UID_LENGTH]}-own-{version}"
    own = model | {"id": None, "uid": uid, "title": f"{model.get('title')} (own {version})"}
    body = {"dashboard": own, "folderUid": found["meta"].get("folderUid") or "", "overwrite": False}
    await make_once(
        lambda: visit.grafana.create("/api/dashboards/db", body, org=visit.org),
        lambda: visit.grafana.find(f"/api/dashboards/uid/{uid}", org=visit.org),
    )


async def _remove(visit: Visit, uid: str) -> None:
    await visit.grafana.delete(f"/api/dashboards/uid/{uid}", org=visit.org)
    mine = (DashboardInstalled.client_id == visit.site.client_id, DashboardInstalled.uid == uid)
    async with visit.work.control.session() as session:
        await session.execute(delete(DashboardInstalled).where(*mine))


async def _installed(visit: Visit) -> dict[str, DashboardInstalled]:
    query = select(DashboardInstalled).where(DashboardInstalled.client_id == visit.site.client_id)
    async with visit.work.control.session() as session:
        return {row.uid: row for row in (await session.scalars(query)).all()}
