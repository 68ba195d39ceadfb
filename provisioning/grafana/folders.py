"""The folders that Grove's dashboards are in: made, called as they should be, and taken away while they are empty.

Used by the clients' dashboards and the platform's.
"""

from provisioning.grafana.changes import Change
from provisioning.grafana.client import ADMIN, make_once
from provisioning.grafana.titles import ALL, claim_title, slug
from provisioning.grafana.visit import Room


async def ensure_folder(room: Room, title: str) -> None:
    """Have a folder, whose address is made from its title."""
    uid = slug(title)
    path = f"/api/folders/{uid}"
    found = await room.find_inside(path)

    async def make() -> None:
        await make_once(
            lambda: room.grafana.create("/api/folders", {"uid": uid, "title": title}, org=room.org),
            lambda: room.grafana.find(path, org=room.org),
        )

    async def rename() -> None:
        number = (await room.grafana.get(path, org=room.org))["version"]
        await room.grafana.put(path, {"title": title, "version": number}, org=room.org)

    if found is None:
        change = Change("create", "folder", uid)
        await room.changes.make(change, lambda: claim_title(room, title, make, uid=uid))
    elif found.get("title") != title:
        change = Change("change", "folder", uid, "title")
        await room.changes.make(change, lambda: claim_title(room, title, rename, uid=uid))


async def drop_folder(room: Room, title: str) -> None:
    """Remove a folder that Grove made and in which nothing is; Grafana would remove with it what is in it."""
    uid = slug(title)
    found = await room.grafana.find(f"/api/folders/{uid}", org=room.org)
    if found is None or found.get("createdBy") != ADMIN:
        return
    if all(hit.get("folderUid") != uid for hit in await room.grafana.get(ALL, org=room.org)):
        await room.grafana.delete(f"/api/folders/{uid}", org=room.org)
