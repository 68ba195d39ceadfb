"""Titles in Grafana: one that Grove's needs and the staff's has is freed, by giving the staff's another one.

Used for folders and dashboards. Grafana compares titles as they stand in addresses, and `overwrite` saves over whatever
has the title, under its `uid`: nothing of Grove's is ever saved so.
"""

import re
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeVar

from provisioning.grafana.changes import Change
from provisioning.grafana.client import Taken
from provisioning.grafana.visit import Room
from tenants.errors import GrafanaRefused

ALL = "/api/search?limit=5000"
_FOLDER = "dash-folder"

T = TypeVar("T")


def slug(title: str) -> str:
    """Write a title as it stands in addresses."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


async def claim_title(
    room: Room, title: str, save: Callable[[], Awaitable[T]], *, uid: str, folder: str | None = None
) -> T:
    """Save a dashboard of a folder, or without one a folder, and free its title first if that is refused.

    Shape: `save` reads the number of what it replaces itself: it is called again, too, if somebody else was quicker.
    Errors: what `save` raises, if nothing had the title.
    """
    try:
        return await save()
    except GrafanaRefused as refusal:
        if not await _free(room, title, uid, folder) and not isinstance(refusal, Taken):
            raise
    return await save()


async def _free(room: Room, title: str, uid: str, folder: str | None) -> bool:
    """Give another title to all that has this one; tell whether there was anything."""
    hits = await room.grafana.get(ALL, org=room.org)
    used = {_slug_of(hit) for hit in hits}
    holders = [hit for hit in hits if _slug_of(hit) == slug(title) and _excludes(hit, uid, folder)]
    for hit in holders:
        other = next(each for each in _others(str(hit["title"])) if slug(each) not in used)
        used.add(slug(other))
        kind, act = ("folder", _rename_folder) if hit["type"] == _FOLDER else ("dashboard", _rename_dashboard)
        await act(room, hit["uid"], other)
        room.changes.note(Change("change", kind, hit["uid"], f"is called “{other}” now, as Grove's is “{title}”"))
    return bool(holders)


def _excludes(hit: dict[str, Any], uid: str, folder: str | None) -> bool:
    """Tell whether Grafana refuses a title because of something: folders exclude all, dashboards their neighbours."""
    if hit["type"] == _FOLDER:
        return folder is not None or hit["uid"] != uid
    return hit.get("folderUid", "") == (folder or "") and (folder is None or hit["uid"] != uid)


def _slug_of(hit: dict[str, Any]) -> str:
    return str(hit["url"]).rpartition("/")[2]


def _others(title: str) -> Any:
    yield f"{title} (own)"
    for number in count(2):
        yield f"{title} (own {number})"


async def _rename_folder(room: Room, uid: str, title: str) -> None:
    path = f"/api/folders/{uid}"
    found = await room.grafana.get(path, org=room.org)
    await room.grafana.put(path, {"title": title, "version": found["version"]}, org=room.org)


async def _rename_dashboard(room: Room, uid: str, title: str) -> None:
    found = await room.grafana.get(f"/api/dashboards/uid/{uid}", org=room.org)
    body = {
        "dashboard": found["dashboard"] | {"title": title},
        "folderUid": found["meta"].get("folderUid") or "",
        "overwrite": False,
    }
    await room.grafana.create("/api/dashboards/db", body, org=room.org)
