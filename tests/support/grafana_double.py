"""A stand-in for Grafana that answers as the recorded exchanges say, with orgs, users, dashboards and real SQL.

`async with open_double() as double:`; what it can be made to do wrong is `double.fail(…)`, `double.down` and
`double.lose_database()`. Its datasources connect to Postgres with the login that they were given.
"""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.support import grafana_queries
from tests.support.loopback import Answer, Call, serve

ADMIN = {"id": 1, "login": "admin", "email": "admin@localhost", "name": "", "orgId": 1}
VERSION = "9.4.0-pre"
PASSWORD = "admin-password"
_TIME = "2026-11-21T00:00:00Z"


class Org(msgspec.Struct):
    """An organisation and all that is in it."""

    id: int
    name: str
    members: dict[int, str] = {}
    datasources: dict[str, dict[str, Any]] = {}
    folders: dict[str, dict[str, Any]] = {}
    dashboards: dict[str, dict[str, Any]] = {}
    preferences: dict[str, Any] = {}

    @property
    def shown(self) -> dict[str, Any]:
        """The organisation as Grafana shows it."""
        address = dict.fromkeys(("address1", "address2", "city", "zipCode", "state", "country"), "")
        return {"id": self.id, "name": self.name, "address": address}


class Fault(msgspec.Struct):
    """What goes wrong with a request. `how`: `500`, `cut` (no answer), `hang` (none for long)."""

    method: str
    path: re.Pattern[str]
    how: str
    after: bool
    left: int


class GrafanaDouble:
    """The state and the answers."""

    def __init__(self, version: str = VERSION) -> None:
        self.url = ""
        self.password = PASSWORD
        self.version = version
        self.down = False
        self.calls: list[str] = []
        self._faults: list[Fault] = []
        self.lose_database()

    def lose_database(self) -> None:
        """Begin anew, as Grafana does on an empty database."""
        self.orgs = {1: Org(1, "Main Org.", members={1: "Admin"})}
        self.users: dict[int, dict[str, Any]] = {1: dict(ADMIN)}
        self._last = {"org": 1, "user": 1, "thing": 0}

    def fail(self, method: str, path: str, *, how: str = "500", after: bool = False, times: int = 1) -> None:
        """Let the next such requests fail, before or after the work is done."""
        self._faults.append(Fault(method, re.compile(path), how, after, times))

    def next_id(self, kind: str) -> int:
        """Number a new thing."""
        self._last[kind] += 1
        return self._last[kind]

    async def answer(self, call: Call) -> Answer | None:
        """Answer a request, or cut the connection."""
        self.calls.append(f"{call.method} {call.path}")
        if self.down:
            return None
        fault = next((f for f in self._faults if f.left and f.method == call.method and f.path.search(call.path)), None)
        if fault is None:
            return await self._work(call)
        fault.left -= 1
        if fault.after:
            await self._work(call)
        if fault.how == "hang":
            await asyncio.sleep(3600)
        return None if fault.how == "cut" else Answer(500, {"message": "Internal Server Error", "traceID": ""})

    async def _work(self, call: Call) -> Answer:
        if call.path == "/api/health":
            return Answer(200, {"commit": "NA", "database": "ok", "version": self.version})
        if call.path == "/login":
            return Answer(200, page=_page(""))
        user = self._user(call)
        if isinstance(user, Answer):
            return user
        if not call.path.startswith("/api/"):
            return Answer(200, page=_page(str(user["login"])))
        return await self._act(call, user)

    async def _act(self, call: Call, user: dict[str, Any]) -> Answer:
        org = self._org(call, user)
        if isinstance(org, Answer):
            return org
        for method, pattern, needs, handler in _ROUTES:
            match = pattern.fullmatch(call.path)
            if method == call.method and match is not None:
                allowed = _may(user, org, needs)
                return await handler(self, call, org, user, *match.groups()) if allowed else _denied(needs)
        return Answer(404, {"message": "Not found"})

    def find_user(self, login: str) -> dict[str, Any] | None:
        """Find a user by login or address."""
        return next((user for user in self.users.values() if login in {user["login"], user["email"]}), None)

    def _user(self, call: Call) -> dict[str, Any] | Answer:
        given = call.headers.get("authorization", "")
        if given.startswith("Basic "):
            if base64.b64decode(given[6:]).decode() != f"admin:{self.password}":
                return Answer(401, {"message": "invalid username or password", "traceID": ""})
            return self.users[1]
        login = call.headers.get("x-webauth-user")
        if login is not None:
            found = next((user for user in self.users.values() if user["login"] == login), None)
            return found or Answer(407, page=_page(""))
        if call.path.startswith("/api/"):
            return Answer(401, {"message": "Unauthorized"})
        return Answer(302, page='<a href="/login">Found</a>.\n\n', headers={"location": "/login"})

    def _org(self, call: Call, user: dict[str, Any]) -> Org | Answer:
        wanted = int(call.headers.get("x-grafana-org-id") or call.query.get("orgId") or user["orgId"])
        org = self.orgs.get(wanted)
        if org is None and user["id"] == 1 and "x-grafana-org-id" not in call.headers:
            org = self.orgs[1]
        return org or Answer(404, {"message": "Organization not found", "traceID": ""})


@asynccontextmanager
async def open_double(**options: Any) -> AsyncIterator[GrafanaDouble]:
    """Serve a double on loopback."""
    double = GrafanaDouble(**options)
    async with serve(double.answer) as url:
        double.url = url
        yield double


Handler = Callable[..., Awaitable[Answer]]
_ROUTES: list[tuple[str, re.Pattern[str], str, Handler]] = []


def _route(method: str, path: str, needs: str) -> Callable[[Handler], Handler]:
    """Answer a method and path; `needs` is `role permission`, a permission of server administrators, or nothing."""

    def register(handler: Handler) -> Handler:
        _ROUTES.append((method, re.compile(path), needs, handler))
        return handler

    return register


@_route("POST", "/api/orgs", "orgs:create")
async def _create_org(double: GrafanaDouble, call: Call, _org: Org, user: dict[str, Any]) -> Answer:
    name = call.json.get("name")
    if not name:
        return _no(400, "bad request data")
    if any(org.name == name for org in double.orgs.values()):
        return _no(409, "Organization name taken")
    made = Org(double.next_id("org"), name, members={user["id"]: "Admin"})
    double.orgs[made.id] = made
    return Answer(200, {"message": "Organization created", "orgId": made.id})


@_route("GET", "/api/orgs", "orgs:read")
async def _listed_org(double: GrafanaDouble, _call: Call, _org: Org, _user: dict[str, Any]) -> Answer:
    rows = sorted(double.orgs.values(), key=lambda org: org.name)
    return Answer(200, [{"id": org.id, "name": org.name} for org in rows])


@_route("GET", "/api/orgs/name/(.+)", "orgs:read")
async def _by_name_org(double: GrafanaDouble, _call: Call, _org: Org, _user: dict[str, Any], name: str) -> Answer:
    found = next((org for org in double.orgs.values() if org.name == name), None)
    return _no(404, "Organization not found") if found is None else Answer(200, found.shown)


@_route("GET", r"/api/orgs/(\d+)", "orgs:read")
async def _by_id_org(double: GrafanaDouble, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    found = double.orgs.get(int(number))
    return _no(404, "Organization not found") if found is None else Answer(200, found.shown)


@_route("DELETE", r"/api/orgs/(\d+)", "orgs:delete")
async def _delete_org(double: GrafanaDouble, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    if double.orgs.pop(int(number), None) is None:
        return Answer(404, {"message": "Failed to delete organization. ID not found"})
    return Answer(200, {"message": "Organization deleted"})


@_route("GET", "/api/org", "member orgs:read")
async def _current_org(_double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    return Answer(200, org.shown)


@_route("GET", "/api/org/preferences", "admin orgs.preferences:read")
async def _preferences_org(_double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    uid = org.preferences.get("homeDashboardUID", "")
    home = org.dashboards.get(uid, {"id": 0})["id"]
    plain = {name: org.preferences.get(name, "") for name in ("theme", "timezone", "weekStart")}
    rest = {"language": "", "navbar": {"savedItems": None}, "queryHistory": {"homeTab": ""}}
    return Answer(200, plain | {"homeDashboardId": home, "homeDashboardUID": uid} | rest)


@_route("PUT", "/api/org/preferences", "admin orgs.preferences:write")
async def _prefer_org(_double: GrafanaDouble, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    uid = call.json.get("homeDashboardUID", "")
    if uid and uid not in org.dashboards:
        return _no(404, "Dashboard not found")
    org.preferences = call.json
    return Answer(200, {"message": "Preferences updated"})


@_route("POST", "/api/admin/users", "users:create")
async def _create_user(double: GrafanaDouble, call: Call, _org: Org, _user: dict[str, Any]) -> Answer:
    given = call.json
    if double.find_user(given["login"]) or double.find_user(given["email"]):
        text = f"User with email '{given['email']}' or username '{given['login']}' already exists"
        return _no(412, text)
    number, org = double.next_id("user"), double.orgs[given.get("OrgId", 1)]
    named = {name: given[name] for name in ("login", "email", "name")}
    double.users[number] = {"id": number, "orgId": org.id, **named}
    org.members[number] = "Viewer"
    return Answer(200, {"id": number, "message": "User created"})


@_route("GET", "/api/users/lookup", "users:read")
async def _lookup_user(double: GrafanaDouble, call: Call, _org: Org, _user: dict[str, Any]) -> Answer:
    found = double.find_user(call.query["loginOrEmail"])
    return Answer(404, {"message": "user not found"}) if found is None else Answer(200, _shown(found, external=False))


@_route("GET", "/api/user", "")
async def _whoami_user(_double: GrafanaDouble, call: Call, _org: Org, user: dict[str, Any]) -> Answer:
    return Answer(200, _shown(user, external="authorization" not in call.headers))


@_route("GET", r"/api/users/(\d+)/orgs", "users:read")
async def _orgs_of_user(double: GrafanaDouble, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    return Answer(200, _memberships(double, int(number)))


@_route("GET", "/api/user/orgs", "")
async def _own_orgs_user(double: GrafanaDouble, _call: Call, _org: Org, user: dict[str, Any]) -> Answer:
    return Answer(200, _memberships(double, user["id"]))


@_route("POST", r"/api/user/using/(\d+)", "")
async def _switch_user(double: GrafanaDouble, _call: Call, _org: Org, user: dict[str, Any], number: str) -> Answer:
    org = double.orgs.get(int(number))
    if org is None or user["id"] not in org.members:
        return Answer(401, {"message": "Not a valid organization"})
    user["orgId"] = org.id
    return Answer(200, {"message": "Active organization changed"})


@_route("PUT", r"/api/users/(\d+)", "users:write")
async def _change_user(double: GrafanaDouble, call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    double.users[int(number)] |= {name: call.json[name] for name in ("login", "email", "name")}
    return Answer(200, {"message": "User updated"})


@_route("DELETE", r"/api/admin/users/(\d+)", "users:delete")
async def _delete_user(double: GrafanaDouble, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    if double.users.pop(int(number), None) is None:
        return _no(404, "user not found")
    for org in double.orgs.values():
        org.members.pop(int(number), None)
    return Answer(200, {"message": "User deleted"})


@_route("POST", "/api/serviceaccounts", "admin serviceaccounts:create")
async def _service_account_user(double: GrafanaDouble, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    name = call.json["name"]
    made = {"id": double.next_id("user"), "name": name, "login": f"sa-{name}", "orgId": org.id, "avatarUrl": ""}
    return Answer(201, made | {"isDisabled": False, "role": call.json["role"], "tokens": 0})


@_route("GET", r"/api/orgs/(\d+)/users", "org.users:read")
async def _members_member(double: GrafanaDouble, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    org = double.orgs.get(int(number))
    return Answer(200, [] if org is None else [_member(double, org, user_id) for user_id in org.members])


@_route("POST", r"/api/orgs/(\d+)/users", "org.users:add")
async def _add_member(double: GrafanaDouble, call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    org, user, role = double.orgs[int(number)], double.find_user(call.json["loginOrEmail"]), call.json["role"]
    if role not in {"Viewer", "Editor", "Admin"}:
        return _no(400, "bad request data")
    if user is None:
        return _no(404, "user not found")
    if user["id"] in org.members:
        text = "User is already member of this organization"
        return Answer(409, {"message": text, "userId": user["id"]})
    org.members[user["id"]] = role
    return Answer(200, {"message": "User added to organization", "userId": user["id"]})


@_route("PATCH", r"/api/orgs/(\d+)/users/(\d+)", "org.users:write")
async def _change_member(
    double: GrafanaDouble, call: Call, _org: Org, _user: dict[str, Any], number: str, user_id: str
) -> Answer:
    double.orgs[int(number)].members[int(user_id)] = call.json["role"]
    return Answer(200, {"message": "Organization user updated"})


@_route("DELETE", r"/api/orgs/(\d+)/users/(\d+)", "org.users:remove")
async def _remove_member(
    double: GrafanaDouble, _call: Call, _org: Org, _user: dict[str, Any], number: str, user_id: str
) -> Answer:
    double.orgs[int(number)].members.pop(int(user_id), None)
    return Answer(200, {"message": "User removed from organization"})


@_route("POST", "/api/datasources", "admin datasources:create")
async def _create_datasource(double: GrafanaDouble, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    given = call.json
    if given["uid"] in org.datasources or any(d["name"] == given["name"] for d in org.datasources.values()):
        return _no(409, "data source with the same name already exists")
    made = given | {"id": double.next_id("thing"), "orgId": org.id, "version": 1}
    org.datasources[given["uid"]] = made
    return _saved(made, "Datasource added")


@_route("GET", "/api/datasources/uid/([^/]+)", "admin datasources:read")
async def _read_datasource(_double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    found = org.datasources.get(uid)
    return Answer(404, {"message": "Data source not found"}) if found is None else Answer(200, _datasource(found))


@_route("PUT", "/api/datasources/uid/([^/]+)", "admin datasources:write")
async def _update_datasource(_double: GrafanaDouble, call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    given, kept = call.json, org.datasources.get(uid)
    if kept is None:
        return Answer(404, {"message": "Data source not found"})
    if given.get("version", kept["version"]) != kept["version"]:
        return _no(409, "Datasource has already been updated by someone else. Please reload and try again")
    kept |= given | {"version": kept["version"] + 1}
    return _saved(kept, "Datasource updated")


@_route("DELETE", "/api/datasources/uid/([^/]+)", "admin datasources:delete")
async def _delete_datasource(_double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    found = org.datasources.pop(uid, None)
    if found is None:
        return Answer(404, {"message": "Data source not found"})
    return Answer(200, {"id": found["id"], "message": "Data source deleted"})


@_route("GET", "/api/datasources/uid/([^/]+)/health", "admin datasources:query")
async def _health_datasource(_double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    error = await grafana_queries.find_fault(org.datasources[uid])
    if error is not None:
        return Answer(400, {"message": f"pq: {error}", "status": "ERROR"})
    return Answer(200, {"message": "Database Connection OK", "status": "OK"})


@_route("POST", "/api/ds/query", "member datasources:query")
async def _query_datasource(_double: GrafanaDouble, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    status, results = await grafana_queries.run(call.json, org.datasources)
    return Answer(status, {"results": results})


@_route("POST", "/api/folders", "admin folders:create")
async def _create_folder_dashboard(double: GrafanaDouble, call: Call, org: Org, user: dict[str, Any]) -> Answer:
    uid, title = call.json["uid"], call.json["title"]
    if uid in org.folders:
        text = "the folder has been changed by someone else"
        return Answer(412, {"message": text, "status": "version-mismatch"})
    rights = dict.fromkeys(("canSave", "canEdit", "canAdmin", "canDelete"), True) | {"hasAcl": False}
    url = f"/dashboards/f/{uid}/{_slug(title)}"
    by = {"createdBy": user["login"], "created": _TIME, "updatedBy": user["login"], "updated": _TIME}
    named = {"id": double.next_id("thing"), "uid": uid, "title": title, "url": url, "version": 1}
    org.folders[uid] = named | rights | by
    return Answer(200, org.folders[uid])


@_route("GET", "/api/folders/([^/]+)", "member folders:read")
async def _read_folder_dashboard(
    _double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any], uid: str
) -> Answer:
    if uid not in org.folders:
        return Answer(404, {"message": "folder not found", "status": "not-found"})
    return Answer(200, org.folders[uid])


@_route("PUT", "/api/folders/([^/]+)", "admin folders:write")
async def _change_folder_dashboard(
    _double: GrafanaDouble, call: Call, org: Org, _user: dict[str, Any], uid: str
) -> Answer:
    org.folders[uid] |= {"title": call.json["title"]}
    return Answer(200, org.folders[uid])


@_route("POST", "/api/dashboards/db", "editor dashboards:write")
async def _save_dashboard(double: GrafanaDouble, call: Call, org: Org, user: dict[str, Any]) -> Answer:
    model, folder = call.json["dashboard"], call.json.get("folderUid") or ""
    if not model.get("title"):
        return Answer(400, {"message": "Dashboard title cannot be empty", "status": "empty-name"})
    if folder and folder not in org.folders:
        return _no(400, "Folder not found")
    uid = model.get("uid") or f"own{double.next_id('thing')}"
    kept = org.dashboards.get(uid)
    if kept is not None and not call.json.get("overwrite"):
        text = "The dashboard has been changed by someone else"
        return Answer(412, {"message": text, "status": "version-mismatch"})
    kept = kept or {"id": double.next_id("thing"), "version": 0, "createdBy": user["login"]}
    version = kept["version"] + 1
    stored = model | {"id": kept["id"], "uid": uid, "version": version}
    org.dashboards[uid] = kept | {"version": version, "folder": folder, "model": stored}
    url = f"/d/{uid}/{_slug(model['title'])}"
    said = {"id": kept["id"], "slug": _slug(model["title"]), "status": "success", "uid": uid, "url": url}
    return Answer(200, said | {"version": version})


@_route("GET", "/api/dashboards/uid/([^/]+)", "member dashboards:read")
async def _read_dashboard(_double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    found = org.dashboards.get(uid)
    if found is None:
        return _no(404, "Dashboard not found")
    return Answer(200, {"meta": _meta(org, found), "dashboard": found["model"]})


@_route("DELETE", "/api/dashboards/uid/([^/]+)", "editor dashboards:delete")
async def _delete_dashboard(_double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any], uid: str) -> Answer:
    found = org.dashboards.pop(uid, None)
    if found is None:
        return _no(404, "Dashboard not found")
    title = found["model"]["title"]
    return Answer(200, {"id": found["id"], "message": f"Dashboard {title} deleted", "title": title})


@_route("GET", "/api/search", "member dashboards:read")
async def _search_dashboard(_double: GrafanaDouble, _call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    return Answer(200, [_hit(org, uid, found) for uid, found in org.dashboards.items()])


_RANK = {"Viewer": 1, "Editor": 2, "Admin": 3}
_LEAST = {"member": 1, "editor": 2, "admin": 3}


def _may(user: dict[str, Any], org: Org, needs: str) -> bool:
    """Tell whether a user may."""
    least, _, permission = needs.partition(" ")
    if user["id"] == 1 or needs == "":
        return True
    return permission != "" and _RANK.get(org.members.get(user["id"], ""), 0) >= _LEAST[least]


def _denied(needs: str) -> Answer:
    text = "You'll need additional permissions to perform this action. Permissions needed: " + needs.rpartition(" ")[2]
    return Answer(403, {"accessErrorId": "ACE0000000001", "message": text, "title": "Access denied"})


def _no(status: int, message: str) -> Answer:
    return Answer(status, {"message": message, "traceID": ""})


def _shown(user: dict[str, Any], *, external: bool) -> dict[str, Any]:
    labels = {"isExternal": external, "authLabels": ["Auth Proxy"] if external else None}
    flags = {"theme": "", "isGrafanaAdmin": user["id"] == 1, "isDisabled": False, "avatarUrl": ""}
    return user | flags | labels | {"updatedAt": _TIME, "createdAt": _TIME}


def _memberships(double: GrafanaDouble, user_id: int) -> list[dict[str, Any]]:
    return [
        {"orgId": org.id, "name": org.name, "role": org.members[user_id]}
        for org in double.orgs.values()
        if user_id in org.members
    ]


def _member(double: GrafanaDouble, org: Org, user_id: int) -> dict[str, Any]:
    user = double.users[user_id]
    seen = {"lastSeenAt": _TIME, "lastSeenAtAge": "10 years", "isDisabled": False, "authLabels": None, "avatarUrl": ""}
    named = {name: user[name] for name in ("email", "name", "login")}
    return {"orgId": org.id, "userId": user_id, "role": org.members[user_id], **named, **seen}


def _datasource(kept: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in kept.items() if name != "secureJsonData"}
    plain = {"basicAuth": False, "basicAuthUser": "", "withCredentials": False, "readOnly": False, "typeLogoUrl": ""}
    return plain | shown | {"secureJsonFields": dict.fromkeys(kept.get("secureJsonData", {}), True)}


def _saved(kept: dict[str, Any], message: str) -> Answer:
    return Answer(200, {"datasource": _datasource(kept), "id": kept["id"], "message": message, "name": kept["name"]})


def _meta(org: Org, found: dict[str, Any]) -> dict[str, Any]:
    folder, title = org.folders.get(found["folder"], {}), found["model"]["title"]
    rights = dict.fromkeys(("canSave", "canEdit", "canAdmin", "canStar", "canDelete"), True)
    kind = {"type": "db", "slug": _slug(title), "url": f"/d/{found['model']['uid']}/{_slug(title)}", "isFolder": False}
    times = {"expires": "0001-01-01T00:00:00Z", "created": _TIME, "updated": _TIME, "hasAcl": False}
    by = {"updatedBy": found["createdBy"], "createdBy": found["createdBy"], "version": found["version"]}
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


def _hit(org: Org, uid: str, found: dict[str, Any]) -> dict[str, Any]:
    model, meta = found["model"], _meta(org, found)
    slug = {"uri": f"db/{meta['slug']}", "url": meta["url"], "slug": "", "type": "dash-db", "isStarred": False}
    place = {name: meta[name] for name in ("folderId", "folderUid", "folderTitle", "folderUrl")}
    named = {"id": found["id"], "uid": uid, "title": model["title"], "tags": model.get("tags", []), "sortMeta": 0}
    return named | slug | place


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _page(login: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"/><title>Grafana</title><base href="/"/></head>'
        f'<body><script>window.grafanaBootData = {{"user": {{"login": "{login}", "gravatarUrl": "/avatar/0"}}, '
        '"settings": {"appSubUrl":"", "buildInfo": {"version": "9.4.0-pre"}}};</script></body></html>'
    )
