"""The page that people of an organisation land on.

Used by the clients' dashboards and the platform's.
"""

from collections.abc import Collection
from typing import Any

from provisioning.grafana.changes import Change
from provisioning.grafana.visit import Room

_PATH = "/api/org/preferences"


async def make_home(room: Room, uid: str) -> None:
    """Have people land on a dashboard."""
    found = await room.find_inside(_PATH) or {}
    if found.get("homeDashboardUID") != uid:
        await room.changes.make(Change("change", "home", uid), lambda: _prefer(room, found, uid))


async def clear_home(room: Room, uids: Collection[str]) -> None:
    """Have people land on none of these dashboards, nor on one that is gone, whose number Grafana keeps."""
    found = await room.grafana.get(_PATH, org=room.org)
    uid = found.get("homeDashboardUID")
    if uid in uids or (not uid and found.get("homeDashboardId")):
        await _prefer(room, found, "")


async def _prefer(room: Room, found: dict[str, Any], uid: str) -> None:
    kept = {name: found.get(name) or "" for name in ("theme", "timezone", "weekStart")}
    await room.grafana.put(_PATH, kept | {"homeDashboardUID": uid}, org=room.org)
