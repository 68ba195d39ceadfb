"""The people of a client in Grafana: a user for each, in the client's organisation and in no other.

A user's password is random and told to nobody: staff come through the gateway, which names them. Roles are set here
alone, never by headers.
"""

import secrets
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import update

from provisioning.grafana.changes import Change
from provisioning.grafana.client import ADMIN, make_once
from provisioning.grafana.visit import Person, Visit, login_prefix
from tenants.models import Staff


async def ensure_people(visit: Visit) -> str:
    """Have a user with the right role for everybody who works at the client, and nobody else in its organisation."""
    wanted = {person.login: person for person in visit.site.people if person.active}
    members = {} if visit.is_new else {member["login"]: member for member in await _members(visit)}
    for person in wanted.values():
        await _ensure_person(visit, person, members.get(person.login))
    for login in sorted(members.keys() - wanted.keys() - {ADMIN}):
        await _send_away(visit, members[login])
    await _forget(visit, [person for person in visit.site.people if not person.active])
    return f"{len(wanted)} people"


async def drop_people(visit: Visit) -> None:
    """Remove the client's users, so that none is left pointing at an organisation that is about to go."""
    own = login_prefix(visit.site.client_id)
    users = {}
    if visit.has_org:
        for member in await _members(visit):
            if str(member["login"]).startswith(own):
                users[member["login"]] = int(member["userId"])
    for person in visit.site.people:
        found = await _find_user(visit, person.login)
        if found is not None:
            users[person.login] = int(found["id"])
    for user_id in users.values():
        await visit.grafana.delete(f"/api/admin/users/{user_id}")
    await _forget(visit, visit.site.people)


async def _ensure_person(visit: Visit, person: Person, member: dict[str, Any] | None) -> None:
    if member is None:
        change = Change("create", "user", person.login, person.grafana_role)
        await visit.changes.make(change, lambda: _place(visit, person))
        return
    if member["role"] != person.grafana_role:
        await _set_role(visit, person, int(member["userId"]), f"{member['role']} → {person.grafana_role}")
    if member["name"] != person.name or member["email"] != person.synthetic_email:
        change = Change("change", "user", person.login, "name")
        await visit.changes.make(change, lambda: _rename(visit, person, int(member["userId"])))
    await _keep_out_of_others(visit, person, int(member["userId"]))
    await _remember(visit, person, int(member["userId"]))


async def _place(visit: Visit, person: Person) -> None:
    """Make the user within the organisation, or bring one there that is elsewhere.

    One that we made, and heard so, is in this organisation alone, in a role that Grafana's settings chose.
    """
    user = None if visit.is_new else await _find_user(visit, person.login)
    if user is None:
        user = await make_once(lambda: _create(visit, person), lambda: _find_user(visit, person.login))
    user_id = int(user["id"])
    if "login" in user:
        await _bring(visit, person, user_id)
        await _keep_out_of_others(visit, person, user_id)
    await visit.grafana.patch(f"/api/orgs/{visit.org}/users/{user_id}", {"role": person.grafana_role})
    await _remember(visit, person, user_id)


async def _bring(visit: Visit, person: Person, user_id: int) -> None:
    """Have a user who was there before in the organisation."""

    async def find_member() -> dict[str, Any] | None:
        return next((member for member in await _members(visit) if member["userId"] == user_id), None)

    if await find_member() is None:
        joining = {"loginOrEmail": person.login, "role": person.grafana_role}
        path = f"/api/orgs/{visit.org}/users"
        await make_once(lambda: visit.grafana.create(path, joining), find_member)


async def _create(visit: Visit, person: Person) -> dict[str, Any]:
    """Make the user; the answer tells its number and, unlike what a look-up finds, no login."""
    made: dict[str, Any] = await visit.grafana.create(
        "/api/admin/users",
        {
            "name": person.name,
            "email": person.synthetic_email,
            "login": person.login,
            "password": secrets.token_urlsafe(32),
            "OrgId": visit.org,
        },
    )
    return made


async def _set_role(visit: Visit, person: Person, user_id: int, detail: str) -> None:
    path, body = f"/api/orgs/{visit.org}/users/{user_id}", {"role": person.grafana_role}
    await visit.changes.make(Change("change", "user", person.login, detail), lambda: visit.grafana.patch(path, body))


async def _rename(visit: Visit, person: Person, user_id: int) -> None:
    body = {"name": person.name, "email": person.synthetic_email, "login": person.login}
    await visit.grafana.put(f"/api/users/{user_id}", body)


async def _keep_out_of_others(visit: Visit, person: Person, user_id: int) -> None:
    for membership in await visit.grafana.get(f"/api/users/{user_id}/orgs"):
        other = int(membership["orgId"])
        if other != visit.org:
            change = Change("remove", "member", person.login, f"from organisation {other}")
            path = f"/api/orgs/{other}/users/{user_id}"
            await visit.changes.make(change, lambda path=path: visit.grafana.delete(path))  # type: ignore[misc]


async def _send_away(visit: Visit, member: dict[str, Any]) -> None:
    """Delete a user of Grove's whose person is gone; put anybody else out of the organisation."""
    login, user_id = str(member["login"]), int(member["userId"])
    own = login.startswith(login_prefix(visit.site.client_id))
    path = f"/api/admin/users/{user_id}" if own else f"/api/orgs/{visit.org}/users/{user_id}"
    change = Change("remove", "user" if own else "member", login)
    await visit.changes.make(change, lambda: visit.grafana.delete(path))


async def _members(visit: Visit) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await visit.grafana.get(f"/api/orgs/{visit.org}/users")
    return found


async def _find_user(visit: Visit, login: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = await visit.grafana.find("/api/users/lookup?" + urlencode({"loginOrEmail": login}))
    return found


async def _remember(visit: Visit, person: Person, user_id: int) -> None:
    if person.grafana_user_id != user_id and not visit.changes.rehearse:
        async with visit.work.control.session() as session:
            await session.execute(update(Staff).where(Staff.id == person.id).values(grafana_user_id=user_id))


async def _forget(visit: Visit, people: list[Person]) -> None:
    known = [person.id for person in people if person.grafana_user_id is not None]
    if known and not visit.changes.rehearse:
        async with visit.work.control.session() as session:
            await session.execute(update(Staff).where(Staff.id.in_(known)).values(grafana_user_id=None))
