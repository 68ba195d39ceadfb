"""The routes of a Grafana double about datasources, folders and dashboards.

Imported by `tests.support.grafana_double`, which lists them so.
"""

from typing import Any

from tests.support import grafana_queries
from tests.support.grafana_routes import route
from tests.support.grafana_shapes import TIME, datasource, folder_hit, hit, meta, no, saved, slug
from tests.support.grafana_state import Org, State
from tests.support.loopback import Answer, Call

_TITLE_TAKEN = 409
_OTHER_KIND = "Dashboard cannot be changed to a folder"
_CHANGED_FOLDER = Answer(412, {"message": "the folder has been changed by someone else", "status": "version-mismatch"})


@route("POST", "/api/datasources", "admin datasources:create")
async def _create_datasource(double: State, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    given = call.json
    if given["uid"] in org.datasources or any(d["name"] == given["name"] for d in org.datasources.values()):
        return no(409, "data source with the same name already exists")
    made = given | {"id": double.next_id("thing"), "orgId": org.id, "version": 1}
    org.datasources[given["uid"]] = made
    return saved(made, "Datasource added")


@route("GET", "/api/datasources/uid/([^/]+)", "admin datasources:read")
async def _read_datasource(_double: State, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    found = org.datasources.get(uid)
    return Answer(404, {"message": "Data source not found"}) if found is None else Answer(200, datasource(found))


@route("PUT", "/api/datasources/uid/([^/]+)", "admin datasources:write")
async def _update_datasource(_double: State, call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    given, kept = call.json, org.datasources.get(uid)
    if kept is None:
        return Answer(404, {"message": "Data source not found"})
    if given.get("version", kept["version"]) != kept["version"]:
        return no(409, "Datasource has already been updated by someone else. Please reload and try again")
    kept |= given | {"version": kept["version"] + 1}
    return saved(kept, "Datasource updated")


@route("DELETE", "/api/datasources/uid/([^/]+)", "admin datasources:delete")
async def _delete_datasource(_double: State, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    found = org.datasources.pop(uid, None)
    if found is None:
        return Answer(404, {"message": "Data source not found"})
    return Answer(200, {"id": found["id"], "message": "Data source deleted"})


@route("GET", "/api/datasources/uid/([^/]+)/health", "admin datasources:query")
async def _health_datasource(_double: State, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    error = await grafana_queries.find_fault(org.datasources[uid])
    if error is not None:
        return Answer(400, {"message": f"pq: {error}", "status": "ERROR"})
    return Answer(200, {"message": "Database Connection OK", "status": "OK"})


@route("POST", "/api/ds/query", "member datasources:query")
async def _query_datasource(_double: State, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    status, results = await grafana_queries.run(call.json, org.datasources)
    return Answer(status, {"results": results})


@route("POST", "/api/folders", "editor folders:create")
async def _create_folder_dashboard(double: State, call: Call, org: Org, user: dict[str, Any]) -> Answer:
    uid, title = call.json.get("uid") or f"own{double.next_id('thing')}", call.json["title"]
    if uid in org.folders:
        return _CHANGED_FOLDER
    refusal = no(400, _OTHER_KIND) if uid in org.dashboards else _refuse_folder_title(org, uid, title)
    if refusal is not None:
        return refusal
    rights = dict.fromkeys(("canSave", "canEdit", "canAdmin", "canDelete"), True) | {"hasAcl": False}
    url = f"/dashboards/f/{uid}/{slug(title)}"
    by = {"createdBy": user["login"], "created": TIME, "updatedBy": user["login"], "updated": TIME}
    named = {"id": double.next_id("thing"), "uid": uid, "title": title, "url": url, "version": 1}
    org.folders[uid] = named | rights | by
    return Answer(200, org.folders[uid])


@route("GET", "/api/folders/([^/]+)", "member folders:read")
async def _read_folder_dashboard(_double: State, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    if uid not in org.folders:
        return Answer(404, {"message": "folder not found", "status": "not-found"})
    return Answer(200, org.folders[uid])


@route("PUT", "/api/folders/([^/]+)", "editor folders:write")
async def _change_folder_dashboard(_double: State, call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    title, found = call.json["title"], org.folders[uid]
    if call.json.get("version") != found["version"] and not call.json.get("overwrite"):
        return _CHANGED_FOLDER
    refusal = _refuse_folder_title(org, uid, title)
    if refusal is not None and refusal.status == _TITLE_TAKEN and call.json.get("overwrite"):
        # What has the title is what is saved over.
        found = next(each for each in org.folders.values() if slug(each["title"]) == slug(title))
    elif refusal is not None:
        return refusal
    found |= {"title": title, "url": f"/dashboards/f/{found['uid']}/{slug(title)}", "version": found["version"] + 1}
    return Answer(200, found)


@route("DELETE", "/api/folders/([^/]+)", "editor folders:delete")
async def _delete_folder_dashboard(_double: State, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    found = org.folders.pop(uid, None)
    if found is None:
        return Answer(404, {"message": "folder not found", "status": "not-found"})
    org.dashboards = {name: each for name, each in org.dashboards.items() if each["folder"] != uid}
    return Answer(200, {"id": found["id"], "message": f"Folder {found['title']} deleted", "title": found["title"]})


def _refuse_folder_title(org: Org, uid: str, title: str) -> Answer | None:
    """Compare a folder's title as it stands in addresses with all folders' and the dashboards' in none."""
    if any(slug(each["title"]) == slug(title) for name, each in org.folders.items() if name != uid):
        text = "a folder or dashboard in the general folder with the same name already exists"
        return Answer(_TITLE_TAKEN, {"message": text})
    if any(slug(each["model"]["title"]) == slug(title) for each in org.dashboards.values() if not each["folder"]):
        return no(400, "Folder name cannot be the same as one of its dashboards")
    return None


@route("POST", "/api/dashboards/db", "editor dashboards:write")
async def _save_dashboard(double: State, call: Call, org: Org, user: dict[str, Any]) -> Answer:
    model, folder = call.json["dashboard"], call.json.get("folderUid") or ""
    uid = model.get("uid") or f"own{double.next_id('thing')}"
    refusal = _refuse_dashboard(org, call.json, uid)
    if refusal is not None:
        return refusal
    kept, namesake = org.dashboards.get(uid), _find_namesake(org, uid, model["title"], folder)
    if namesake is not None:
        # What has the title is what is saved over, under its own uid.
        uid, kept = namesake, org.dashboards[namesake]
    kept = kept or {"id": double.next_id("thing"), "version": 0, "createdBy": user["login"]}
    version = kept["version"] + 1
    stored = model | {"id": kept["id"], "uid": uid, "version": version}
    org.dashboards[uid] = kept | {"version": version, "folder": folder, "model": stored, "updatedBy": user["login"]}
    url = f"/d/{uid}/{slug(model['title'])}"
    said = {"id": kept["id"], "slug": slug(model["title"]), "status": "success", "uid": uid, "url": url}
    return Answer(200, said | {"version": version})


def _refuse_dashboard(org: Org, body: dict[str, Any], uid: str) -> Answer | None:
    model, folder, overwrite = body["dashboard"], body.get("folderUid") or "", body.get("overwrite")
    kept = org.dashboards.get(uid, {"version": 0})
    title = slug(model.get("title") or "")
    if not title:
        refusal = (400, "Dashboard title cannot be empty", "empty-name")
    elif folder and folder not in org.folders:
        return no(400, "Folder not found")
    elif uid in org.folders:
        return Answer(400, {"message": _OTHER_KIND})
    elif not overwrite and kept["version"] and model.get("version", 0) != kept["version"]:
        refusal = (412, "The dashboard has been changed by someone else", "version-mismatch")
    elif any(slug(each["title"]) == title for each in org.folders.values()):
        refusal = (400, "Dashboard name cannot be the same as folder", "name-match")
    elif not overwrite and _find_namesake(org, uid, title, folder) is not None:
        refusal = (412, "A dashboard with the same name in the folder already exists", "name-exists")
    else:
        return None
    return Answer(refusal[0], {"message": refusal[1], "status": refusal[2]})


def _find_namesake(org: Org, uid: str, title: str, folder: str) -> str | None:
    """Find another dashboard of the folder whose title stands in addresses as this one does."""
    for name, each in org.dashboards.items():
        if name != uid and each["folder"] == folder and slug(each["model"]["title"]) == slug(title):
            return name
    return None


@route("GET", "/api/dashboards/uid/([^/]+)", "member dashboards:read")
async def _read_dashboard(_double: State, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    if uid in org.folders:
        folder = org.folders[uid]
        model = {"uid": uid, "title": folder["title"], "version": folder["version"]}
        seen = {"folder": "", "model": model, "version": folder["version"], "createdBy": folder["createdBy"]}
        about = meta(org, seen | {"updatedBy": folder["updatedBy"]}) | {"isFolder": True}
        return Answer(200, {"meta": about, "dashboard": model})
    found = org.dashboards.get(uid)
    if found is None:
        return no(404, "Dashboard not found")
    return Answer(200, {"meta": meta(org, found), "dashboard": found["model"]})


@route("DELETE", "/api/dashboards/uid/([^/]+)", "editor dashboards:delete")
async def _delete_dashboard(_double: State, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    found = org.dashboards.pop(uid, None)
    if found is None:
        return no(404, "Dashboard not found")
    title = found["model"]["title"]
    return Answer(200, {"id": found["id"], "message": f"Dashboard {title} deleted", "title": title})


@route("GET", "/api/search", "member dashboards:read")
async def _search_dashboard(_double: State, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    folders = [folder_hit(each) for each in org.folders.values()]
    hits = folders + [hit(org, uid, found) for uid, found in org.dashboards.items()]
    wanted = call.query.get("type")
    return Answer(200, [each for each in hits if wanted in {None, each["type"]}])
