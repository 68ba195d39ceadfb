"""How a Grafana double shows what it has, and who may ask: the shapes of the recorded answers.

Used by the double's routes.
"""

import re
from typing import Any

from tests.support.grafana_state import Org, State
from tests.support.loopback import Answer

TIME = "2026-11-21T00:00:00Z"
_RANK = {"Viewer": 1, "Editor": 2, "Admin": 3}
_LEAST = {"member": 1, "editor": 2, "admin": 3}


def may(user: dict[str, Any], org: Org, needs: str) -> bool:
    """Tell whether a user may."""
    least, _, permission = needs.partition(" ")
    if user["id"] == 1 or needs == "":
        return True
    return permission != "" and _RANK.get(org.members.get(user["id"], ""), 0) >= _LEAST[least]


def denied(needs: str) -> Answer:
    """Refuse for want of a permission."""
    text = "You'll need additional permissions to perform this action. Permissions needed: " + needs.rpartition(" ")[2]
    return Answer(403, {"accessErrorId": "ACE0000000001", "message": text, "title": "Access denied"})


def no(status: int, message: str) -> Answer:
    """Refuse with a message."""
    return Answer(status, {"message": message, "traceID": ""})


def shown(user: dict[str, Any], *, external: bool) -> dict[str, Any]:
    """Show a user as Grafana does."""
    labels = {"isExternal": external, "authLabels": ["Auth Proxy"] if external else None}
    flags = {"theme": "", "isGrafanaAdmin": user["id"] == 1, "isDisabled": False, "avatarUrl": ""}
    return user | flags | labels | {"updatedAt": TIME, "createdAt": TIME}


def memberships(double: State, user_id: int) -> list[dict[str, Any]]:
    """List a user's organisations."""
    return [
        {"orgId": org.id, "name": org.name, "role": org.members[user_id]}
        for org in double.orgs.values()
        if user_id in org.members
    ]


def member(double: State, org: Org, user_id: int) -> dict[str, Any]:
    """Show a member of an organisation."""
    user = double.users[user_id]
    seen = {"lastSeenAt": TIME, "lastSeenAtAge": "10 years", "isDisabled": False, "authLabels": None, "avatarUrl": ""}
    named = {name: user[name] for name in ("email", "name", "login")}
    return {"orgId": org.id, "userId": user_id, "role": org.members[user_id], **named, **seen}


def datasource(kept: dict[str, Any]) -> dict[str, Any]:
    """Show a datasource, without its password."""
    shown = {name: value for name, value in kept.items() if name != "secureJsonData"}
    plain = {"basicAuth": False, "basicAuthUser": "", "withCredentials": False, "readOnly": False, "typeLogoUrl": ""}
    return plain | shown | {"secureJsonFields": dict.fromkeys(kept.get("secureJsonData", {}), True)}


def saved(kept: dict[str, Any], message: str) -> Answer:
    """Answer that a datasource was saved."""
    return Answer(200, {"datasource": datasource(kept), "id": kept["id"], "message": message, "name": kept["name"]})


def meta(org: Org, found: dict[str, Any]) -> dict[str, Any]:
    """Show what is known about a dashboard."""
    folder, title = org.folders.get(found["folder"], {}), found["model"]["title"]
    rights = dict.fromkeys(("canSave", "canEdit", "canAdmin", "canStar", "canDelete"), True)
    kind = {"type": "db", "slug": slug(title), "url": f"/d/{found['model']['uid']}/{slug(title)}", "isFolder": False}
    times = {"expires": "0001-01-01T00:00:00Z", "created": TIME, "updated": TIME, "hasAcl": False}
    by = {"updatedBy": found["updatedBy"], "createdBy": found["createdBy"], "version": found["version"]}
    place = {
        "folderId": folder.get("id", 0),
        "folderUid": found["folder"],
        "folderTitle": folder.get("title", "General"),
    }
    annotations = {
        name: dict.fromkeys(("canAdd", "canEdit", "canDelete"), True) for name in ("dashboard", "organization")
    }
    public = {"hasPublicDashboard": False, "publicDashboardAccessToken": "", "publicDashboardUid": ""}
    rest = {"provisioned": False, "provisionedExternalId": "", "annotationsPermissions": annotations}
    return rights | kind | times | by | place | public | rest | {
        "folderUrl": folder.get("url", ""), "publicDashboardEnabled": False,
    }  # fmt: skip


def hit(org: Org, uid: str, found: dict[str, Any]) -> dict[str, Any]:
    """Show a dashboard as a search finds it."""
    model, about = found["model"], meta(org, found)
    address = {"uri": f"db/{about['slug']}", "url": about["url"], "slug": "", "type": "dash-db", "isStarred": False}
    place = {name: about[name] for name in ("folderId", "folderUid", "folderTitle", "folderUrl") if about["folderUid"]}
    named = {"id": found["id"], "uid": uid, "title": model["title"], "tags": model.get("tags", []), "sortMeta": 0}
    return named | address | place


def folder_hit(folder: dict[str, Any]) -> dict[str, Any]:
    """Show a folder as a search finds it."""
    named = {name: folder[name] for name in ("id", "uid", "title", "url")}
    address = {"uri": f"db/{slug(folder['title'])}", "slug": "", "type": "dash-folder"}
    return named | address | {"tags": [], "isStarred": False, "sortMeta": 0}


def slug(title: str) -> str:
    """Write a title as it stands in addresses."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def page(login: str) -> str:
    """Write a page with the parts that a gateway rewrites."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"/><title>Grafana</title><base href="/"/></head>'
        f'<body><script>window.grafanaBootData = {{"user": {{"login": "{login}", "gravatarUrl": "/avatar/0"}}, '
        '"settings": {"appSubUrl":"", "buildInfo": {"version": "9.4.0-pre"}}};</script></body></html>'
    )
