"""The routes of a Grafana double about organisations, members and users, and where all routes are listed.

Used by `tests.support.grafana_double`.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.grafana_shapes import member, memberships, no, shown
from tests.support.grafana_state import Org, State
from tests.support.loopback import Answer, Call

Handler = Callable[..., Awaitable[Answer]]
ROUTES: list[tuple[str, re.Pattern[str], str, Handler]] = []


def route(method: str, path: str, needs: str) -> Callable[[Handler], Handler]:
    """Answer a method and path; `needs` is `role permission`, a permission of server administrators, or nothing."""

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(path), needs, handler))
        return handler

    return register


@route("POST", "/api/orgs", "orgs:create")
async def _create_org(double: State, call: Call, _org: Org, user: dict[str, Any]) -> Answer:
    name = call.json.get("name")
    if not name:
        return no(400, "bad request data")
    if any(org.name == name for org in double.orgs.values()):
        return no(409, "Organization name taken")
    made = Org(double.next_id("org"), name, members={user["id"]: "Admin"})
    double.orgs[made.id] = made
    return Answer(200, {"message": "Organization created", "orgId": made.id})


@route("GET", "/api/orgs", "orgs:read")
async def _listed_org(double: State, _call: Call, _org: Org, _user: dict[str, Any]) -> Answer:
    rows = sorted(double.orgs.values(), key=lambda org: org.name)
    return Answer(200, [{"id": org.id, "name": org.name} for org in rows])


@route("GET", "/api/orgs/name/(.+)", "orgs:read")
async def _by_name_org(double: State, _call: Call, _org: Org, _user: dict[str, Any], name: str) -> Answer:
    found = next((org for org in double.orgs.values() if org.name == name), None)
    return no(404, "Organization not found") if found is None else Answer(200, found.shown)


@route("GET", r"/api/orgs/(\d+)", "orgs:read")
async def _by_id_org(double: State, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    found = double.orgs.get(int(number))
    return no(404, "Organization not found") if found is None else Answer(200, found.shown)


@route("DELETE", r"/api/orgs/(\d+)", "orgs:delete")
async def _delete_org(double: State, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    if double.orgs.pop(int(number), None) is None:
        return Answer(404, {"message": "Failed to delete organization. ID not found"})
    return Answer(200, {"message": "Organization deleted"})


@route("GET", "/api/org", "member orgs:read")
async def _current_org(_double: State, _call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    return Answer(200, org.shown)


@route("GET", "/api/org/preferences", "admin orgs.preferences:read")
async def _preferences_org(_double: State, _call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    number = org.preferences.get("homeDashboardId", 0)
    # The number of a dashboard that is gone stays.
    named = [each["model"]["uid"] for each in org.dashboards.values() if each["id"] == number]
    plain = {name: org.preferences.get(name, "") for name in ("theme", "timezone", "weekStart")}
    rest = {"language": "", "navbar": {"savedItems": None}, "queryHistory": {"homeTab": ""}}
    return Answer(200, plain | {"homeDashboardId": number} | rest | ({"homeDashboardUID": named[0]} if named else {}))


@route("PUT", "/api/org/preferences", "admin orgs.preferences:write")
async def _prefer_org(_double: State, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    uid = call.json.get("homeDashboardUID", "")
    if uid and uid not in org.dashboards:
        return no(404, "Dashboard not found")
    org.preferences = call.json | {"homeDashboardId": org.dashboards[uid]["id"] if uid else 0}
    return Answer(200, {"message": "Preferences updated"})


@route("POST", "/api/admin/users", "users:create")
async def _create_user(double: State, call: Call, _org: Org, _user: dict[str, Any]) -> Answer:
    given = call.json
    if double.find_user(given["login"]) or double.find_user(given["email"]):
        text = f"User with email '{given['email']}' or username '{given['login']}' already exists"
        return no(412, text)
    number, org = double.next_id("user"), double.orgs[given.get("OrgId", 1)]
    named = {name: given[name] for name in ("login", "email", "name")}
    double.users[number] = {"id": number, "orgId": org.id, **named}
    org.members[number] = "Viewer"
    return Answer(200, {"id": number, "message": "User created"})


@route("GET", "/api/users/lookup", "users:read")
async def _lookup_user(double: State, call: Call, _org: Org, _user: dict[str, Any]) -> Answer:
    found = double.find_user(call.query["loginOrEmail"])
    return Answer(404, {"message": "user not found"}) if found is None else Answer(200, shown(found, external=False))


@route("GET", "/api/user", "")
async def _whoami_user(_double: State, call: Call, _org: Org, user: dict[str, Any]) -> Answer:
    return Answer(200, shown(user, external="authorization" not in call.headers))


@route("GET", r"/api/users/(\d+)/orgs", "users:read")
async def _orgs_of_user(double: State, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    return Answer(200, memberships(double, int(number)))


@route("GET", "/api/user/orgs", "")
async def _own_orgs_user(double: State, _call: Call, _org: Org, user: dict[str, Any]) -> Answer:
    return Answer(200, memberships(double, user["id"]))


@route("POST", r"/api/user/using/(\d+)", "")
async def _switch_user(double: State, _call: Call, _org: Org, user: dict[str, Any], number: str) -> Answer:
    org = double.orgs.get(int(number))
    if org is None or user["id"] not in org.members:
        return Answer(401, {"message": "Not a valid organization"})
    user["orgId"] = org.id
    return Answer(200, {"message": "Active organization changed"})


@route("PUT", r"/api/users/(\d+)", "users:write")
async def _change_user(double: State, call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    double.users[int(number)] |= {name: call.json[name] for name in ("login", "email", "name")}
    return Answer(200, {"message": "User updated"})


@route("DELETE", r"/api/admin/users/(\d+)", "users:delete")
async def _delete_user(double: State, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    if double.users.pop(int(number), None) is None:
        return no(404, "user not found")
    for org in double.orgs.values():
        org.members.pop(int(number), None)
    return Answer(200, {"message": "User deleted"})


@route("POST", "/api/serviceaccounts", "admin serviceaccounts:create")
async def _service_account_user(double: State, call: Call, org: Org, _user: dict[str, Any]) -> Answer:
    name = call.json["name"]
    made = {"id": double.next_id("user"), "name": name, "login": f"sa-{name}", "orgId": org.id, "avatarUrl": ""}
    return Answer(201, made | {"isDisabled": False, "role": call.json["role"], "tokens": 0})


@route("GET", r"/api/orgs/(\d+)/users", "org.users:read")
async def _members_member(double: State, _call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    org = double.orgs.get(int(number))
    return Answer(200, [] if org is None else [member(double, org, user_id) for user_id in org.members])


@route("POST", r"/api/orgs/(\d+)/users", "org.users:add")
async def _add_member(double: State, call: Call, _org: Org, _user: dict[str, Any], number: str) -> Answer:
    org, user, role = double.orgs[int(number)], double.find_user(call.json["loginOrEmail"]), call.json["role"]
    if role not in {"Viewer", "Editor", "Admin"}:
        return no(400, "bad request data")
    if user is None:
        return no(404, "user not found")
    if user["id"] in org.members:
        text = "User is already member of this organization"
        return Answer(409, {"message": text, "userId": user["id"]})
    org.members[user["id"]] = role
    return Answer(200, {"message": "User added to organization", "userId": user["id"]})


@route("PATCH", r"/api/orgs/(\d+)/users/(\d+)", "org.users:write")
async def _change_member(
    double: State, call: Call, _org: Org, _user: dict[str, Any], number: str, user_id: str
) -> Answer:
    double.orgs[int(number)].members[int(user_id)] = call.json["role"]
    return Answer(200, {"message": "Organization user updated"})


@route("DELETE", r"/api/orgs/(\d+)/users/(\d+)", "org.users:remove")
async def _remove_member(
    double: State, _call: Call, _org: Org, _user: dict[str, Any], number: str, user_id: str
) -> Answer:
    double.orgs[int(number)].members.pop(int(user_id), None)
    return Answer(200, {"message": "User removed from organization"})
