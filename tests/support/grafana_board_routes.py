"""The routes of a Grafana double about datasources, folders and dashboards.

Imported by `tests.support.grafana_double`, which lists them so.
"""

from typing import Any

from tests.support import grafana_queries
from tests.support.grafana_routes import route
from tests.support.grafana_shapes import TIME, datasource, hit, meta, no, saved, slug
from tests.support.grafana_state import Org, State
from tests.support.loopback import Answer, Call


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


@route("POST", "/api/folders", "admin folders:create")
async def _create_folder_dashboard(double: State, call: Call, org: Org, user: dict[str, Any]) -> Answer:
    uid, title = call.json["uid"], call.json["title"]
    if uid in org.folders:
        text = "the folder has been changed by someone else"
        return Answer(412, {"message": text, "status": "version-mismatch"})
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


@route("PUT", "/api/folders/([^/]+)", "admin folders:write")
async def _change_folder_dashboard(_double: State, call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    org.folders[uid] |= {"title": call.json["title"]}
    return Answer(200, org.folders[uid])


@route("POST", "/api/dashboards/db", "editor dashboards:write")
async def _save_dashboard(double: State, call: Call, org: Org, user: dict[str, Any]) -> Answer:
    model, folder = call.json["dashboard"], call.json.get("folderUid") or ""
    if not model.get("title"):
        return Answer(400, {"message": "Dashboard title cannot be empty", "status": "empty-name"})
    if folder and folder not in org.folders:
        return no(400, "Folder not found")
    uid = model.get("uid") or f"own{double.next_id('thing')}"
    kept = org.dashboards.get(uid)
    if kept is not None and not call.json.get("overwrite"):
        text = "The dashboard has been changed by someone else"
        return Answer(412, {"message": text, "status": "version-mismatch"})
    kept = kept or {"id": double.next_id("thing"), "version": 0, "createdBy": user["login"]}
    version = kept["version"] + 1
    stored = model | {"id": kept["id"], "uid": uid, "version": version}
    org.dashboards[uid] = kept | {"version": version, "folder": folder, "model": stored}
    url = f"/d/{uid}/{slug(model['title'])}"
    said = {"id": kept["id"], "slug": slug(model["title"]), "status": "success", "uid": uid, "url": url}
    return Answer(200, said | {"version": version})


@route("GET", "/api/dashboards/uid/([^/]+)", "member dashboards:read")
async def _read_dashboard(_double: State, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
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
async def _search_dashboard(_double: State, _call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    return Answer(200, [hit(org, uid, found) for uid, found in org.dashboards.items()])
