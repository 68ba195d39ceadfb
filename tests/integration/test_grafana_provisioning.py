"""A client gets a Grafana of its own, keeps it as it should be, and leaves nothing of it behind."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import asyncpg
import msgspec
import pytest

from provisioning.grafana.client import GrafanaAdmin
from provisioning.grafana.reconcile import rehearse
from provisioning.grafana.releases import offer_release, store_release, try_release
from provisioning.grafana.titles import slug
from provisioning.operations import OperationView
from provisioning.templates import shipped_templates
from tenants.errors import AlreadyTaken, GrafanaRefused, GrafanaUnavailable, InputRefused, ReleaseDiffers
from tests.support.provisioner import ACTOR, Provisioner

STAFF = [
    {"email": "Ana@maple.example", "name": "Ana", "role": "viewer"},
    {"email": "ben@maple.example", "name": "Ben", "role": "editor"},
]
GRAFANA_STEPS = ["organisation", "datasource", "health", "folders", "dashboards", "home", "staff"]


@pytest.fixture
async def client(grove: Provisioner) -> AsyncIterator[str]:
    """A client with two people; it is removed afterwards."""
    client_id = new_id()
    view = await grove.create(client_id, staff=STAFF, timezone="Europe/Paris")
    assert view.state == "succeeded", view
    yield client_id
    assert (await grove.remove(client_id)).state == "succeeded"


def new_id() -> str:
    return f"maple-{secrets.token_hex(4)}"


def details(view: OperationView) -> dict[str, str | None]:
    return {step.name: step.detail or step.last_error for step in view.steps}


def changes(view: OperationView) -> list[tuple[str, str, str]]:
    return [(found["action"], found["kind"], found["name"]) for found in (view.result or {})["changes"]]


async def org_of(grove: Provisioner, client_id: str) -> int:
    (row,) = await grove.fetch("SELECT grafana_org_id FROM grove.clients WHERE id = $1", client_id)
    return int(row["grafana_org_id"])


async def members_of(admin: GrafanaAdmin, org: int) -> dict[str, dict[str, Any]]:
    return {member["login"]: member for member in await admin.get(f"/api/orgs/{org}/users")}


async def all_users(admin: GrafanaAdmin, client_id: str) -> list[str]:
    found = [await admin.find(f"/api/users/lookup?loginOrEmail={quote(login_of(client_id, each))}") for each in STAFF]
    return [user["login"] for user in found if user is not None]


def login_of(client_id: str, person: dict[str, str]) -> str:
    return f"{client_id}:{person['email'].lower()}"


async def test_onboarding_makes_all_of_it_step_by_step(grove: Provisioner, admin: GrafanaAdmin, client: str) -> None:
    org = await org_of(grove, client)
    datasource = await admin.get("/api/datasources/uid/analytics", org=org)
    (place,) = await grove.fetch("SELECT * FROM grove.placements WHERE client_id = $1", client)

    assert (await admin.get(f"/api/orgs/{org}"))["name"] == client
    assert (datasource["user"], datasource["jsonData"]["database"]) == (place["login_role"], place["database"])
    few = {"maxOpenConns": 3, "maxIdleConns": 0, "maxIdleConnsAuto": False, "connMaxLifetime": 60}
    assert {name: datasource["jsonData"][name] for name in few} == few
    assert (await admin.get("/api/datasources/uid/analytics/health", org=org))["status"] == "OK"
    installed = await grove.fetch("SELECT uid FROM grove.dashboards_installed WHERE client_id = $1", client)
    hits = await admin.get("/api/search?type=dash-db", org=org)
    assert {hit["uid"] for hit in hits} == {row["uid"] for row in installed} != set()
    assert {hit["folderUid"] for hit in hits} == {slug(hit["folderTitle"]) for hit in hits}
    assert (await admin.get("/api/org/preferences", org=org))["homeDashboardUID"] in {hit["uid"] for hit in hits}


async def test_staff_are_in_their_clients_organisation_alone_with_their_roles(
    grove: Provisioner, admin: GrafanaAdmin, client: str
) -> None:
    org = await org_of(grove, client)
    members = await members_of(admin, org)
    rows = {row["email"]: row for row in await grove.fetch("SELECT * FROM grove.staff WHERE client_id = $1", client)}

    assert {login: member["role"] for login, member in members.items() if login != "admin"} == {
        login_of(client, STAFF[0]): "Viewer",
        login_of(client, STAFF[1]): "Editor",
    }
    for email, row in rows.items():
        member = members[f"{client}:{email}"]
        assert (member["userId"], member["email"]) == (row["grafana_user_id"], f"{row['id']}@{client}.grove.invalid")
        assert [each["orgId"] for each in await admin.get(f"/api/users/{member['userId']}/orgs")] == [org]


async def test_one_person_at_two_clients_is_two_users(grove: Provisioner, admin: GrafanaAdmin, client: str) -> None:
    other = new_id()
    view = await grove.create(other, staff=STAFF[:1])
    assert view.state == "succeeded", details(view)
    mine, theirs = await org_of(grove, client), await org_of(grove, other)
    assert login_of(other, STAFF[0]) in await members_of(admin, theirs)
    assert login_of(other, STAFF[0]) not in await members_of(admin, mine)
    await grove.remove(other)


async def test_the_dashboards_login_reads_the_clients_tables_and_no_others(
    grove: Provisioner, admin: GrafanaAdmin, client: str
) -> None:
    org = await org_of(grove, client)
    (place,) = await grove.fetch("SELECT schema_name FROM grove.placements WHERE client_id = $1", client)
    query = {"refId": "A", "datasource": {"uid": "analytics"}, "format": "table"}
    sql = f'SELECT count(*) AS n FROM {place["schema_name"]}."UserEvents"'  # noqa: S608 - the registry's own name
    answer = await admin.create(
        "/api/ds/query", {"from": "now-1h", "to": "now", "queries": [query | {"rawSql": sql}]}, org=org
    )
    assert answer["results"]["A"]["frames"][0]["data"]["values"] == [[0]]


async def test_what_is_as_it_should_be_is_left_alone(grove: Provisioner, client: str) -> None:
    assert changes(await grove.reconcile(client)) == []


async def test_a_rehearsal_tells_what_differs_and_a_repair_mends_it_and_keeps_the_staffs_own(
    grove: Provisioner, admin: GrafanaAdmin, client: str
) -> None:
    org = await org_of(grove, client)
    hits = await admin.get("/api/search?type=dash-db", org=org)
    edited, removed = hits[0]["uid"], hits[-1]["uid"]
    found = await admin.get(f"/api/dashboards/uid/{edited}", org=org)
    model = found["dashboard"] | {"title": "Somebody's idea"}
    folder = found["meta"]["folderUid"]
    await admin.create("/api/dashboards/db", {"dashboard": model, "folderUid": folder, "overwrite": True}, org=org)
    own = {"dashboard": {"uid": "own-copy", "title": "My copy", "panels": []}, "overwrite": False}
    await admin.create("/api/dashboards/db", own, org=org)
    await admin.delete(f"/api/dashboards/uid/{removed}", org=org)
    datasource = await admin.get("/api/datasources/uid/analytics", org=org)
    await admin.put(
        "/api/datasources/uid/analytics", datasource | {"user": datasource["user"], "isDefault": False}, org=org
    )
    members = await members_of(admin, org)
    ana = members[login_of(client, STAFF[0])]["userId"]
    await admin.patch(f"/api/orgs/{org}/users/{ana}", {"role": "Editor"})
    await admin.delete(f"/api/admin/users/{members[login_of(client, STAFF[1])]['userId']}")
    stranger = await admin.create("/api/admin/users", {
        "name": "S", "login": f"stranger-{client}", "email": f"s@{client}.x", "password": "long-random", "OrgId": org,
    })  # fmt: skip

    expected = {
        ("change", "dashboard", edited), ("create", "dashboard", removed), ("keep", "dashboard", "own-copy"),
        ("change", "datasource", "analytics"), ("change", "user", login_of(client, STAFF[0])),
        ("create", "user", login_of(client, STAFF[1])), ("remove", "member", f"stranger-{client}"),
    }  # fmt: skip
    told = {(change.action, change.kind, change.name) for change in await rehearse(grove.runner().means, client)}
    assert expected <= told
    assert (await admin.get(f"/api/dashboards/uid/{edited}", org=org))["dashboard"]["title"] == "Somebody's idea"

    mended = await grove.reconcile(client)
    assert expected <= set(changes(mended)), details(mended)
    assert changes(await grove.reconcile(client)) == [("keep", "dashboard", "own-copy")]
    assert (await admin.get(f"/api/dashboards/uid/{edited}", org=org))["dashboard"]["title"] == hits[0]["title"]
    assert (await members_of(admin, org)).keys() == {"admin", *(login_of(client, person) for person in STAFF)}
    await admin.delete(f"/api/admin/users/{stranger['id']}")


async def test_a_rotated_password_is_the_one_that_works_and_dashboards_hardly_notice(
    grove: Provisioner, admin: GrafanaAdmin, client: str
) -> None:
    org = await org_of(grove, client)
    before = await grove.login_url((await grove.context(client)).placement)
    async with watched(admin, org) as failing:
        view = await grove.reconcile(client, rotate=True)
    assert (view.state, details(view)["grafana_password"]) == ("succeeded", "a new password")
    after = await grove.login_url((await grove.context(client)).placement)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(before)
    await (await asyncpg.connect(after)).close()
    assert (await admin.get("/api/datasources/uid/analytics/health", org=org))["status"] == "OK"
    assert longest_run(failing) < 1.0


@asynccontextmanager
async def watched(admin: GrafanaAdmin, org: int) -> AsyncIterator[list[tuple[float, bool]]]:
    """Ask through the datasource all the while; list when, and whether that failed."""
    seen: list[tuple[float, bool]] = []
    query = {"refId": "A", "datasource": {"uid": "analytics"}, "format": "table", "rawSql": "SELECT 1 AS n"}

    async def ask() -> None:
        while True:
            try:
                await admin.create("/api/ds/query", {"from": "now-1h", "to": "now", "queries": [query]}, org=org)
            except (GrafanaRefused, GrafanaUnavailable):
                seen.append((time.monotonic(), True))
            else:
                seen.append((time.monotonic(), False))
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(ask())
    yield seen
    asking.cancel()
    await asyncio.wait([asking])
    assert len(seen) > 1


def longest_run(seen: list[tuple[float, bool]]) -> float:
    """Tell for how many seconds on end it failed."""
    longest, since = 0.0, None
    for at, failed in seen:
        since = (at if since is None else since) if failed else None
        longest = max(longest, 0.0 if since is None else at - since)
    return longest


async def test_a_password_that_somebody_else_changed_is_set_again(
    grove: Provisioner, admin: GrafanaAdmin, client: str
) -> None:
    (place,) = await grove.fetch("SELECT login_role FROM grove.placements WHERE client_id = $1", client)
    await grove.execute(f"ALTER ROLE {place['login_role']} PASSWORD 'something else'")
    view = await grove.reconcile(client)
    assert ("change", "datasource", "analytics") in changes(view)
    org = await org_of(grove, client)
    assert (await admin.get("/api/datasources/uid/analytics/health", org=org))["status"] == "OK"


async def test_a_grafana_that_lost_everything_is_built_again_from_the_control_plane(
    grove: Provisioner, admin: GrafanaAdmin, client: str
) -> None:
    lost = await org_of(grove, client)
    for login, member in (await members_of(admin, lost)).items():
        if login != "admin":
            await admin.delete(f"/api/admin/users/{member['userId']}")
    await admin.delete(f"/api/orgs/{lost}")

    view = await grove.reconcile(client)

    assert view.state == "succeeded", details(view)
    found = await org_of(grove, client)
    assert found != lost
    assert len(await all_users(admin, client)) == 2
    assert (await admin.get("/api/datasources/uid/analytics/health", org=found))["status"] == "OK"
    assert changes(await grove.reconcile(client)) == []


async def test_removal_leaves_neither_users_nor_an_organisation(grove: Provisioner, admin: GrafanaAdmin) -> None:
    client_id = new_id()
    await grove.create(client_id, staff=STAFF)
    org = await org_of(grove, client_id)
    view = await grove.remove(client_id)
    assert view.state == "succeeded"
    assert [step.name for step in view.steps][:3] == ["shut", "grafana_staff", "grafana_organisation"]
    assert await admin.find(f"/api/orgs/{org}") is None
    assert await all_users(admin, client_id) == []


async def test_a_given_organisation_is_taken_over_and_outlives_the_client(
    grove: Provisioner, admin: GrafanaAdmin
) -> None:
    client_id = new_id()
    org = (await admin.create("/api/orgs", {"name": f"Already here {client_id}"}))["orgId"]
    theirs = {"dashboard": {"uid": "theirs", "title": "Theirs", "panels": []}, "overwrite": False}
    await admin.create("/api/dashboards/db", theirs, org=org)

    view = await grove.create(client_id, staff=STAFF, grafanaOrgId=org)

    assert view.state == "succeeded", details(view)
    assert await org_of(grove, client_id) == org
    with pytest.raises(AlreadyTaken):
        await grove.request(new_id(), grafanaOrgId=org)
    assert (await grove.remove(client_id)).state == "succeeded"
    assert (await members_of(admin, org)).keys() == {"admin"}
    assert {hit["uid"] for hit in await admin.get("/api/search?type=dash-db", org=org)} == {"theirs"}
    assert await admin.find("/api/datasources/uid/analytics", org=org) is None
    await admin.delete(f"/api/orgs/{org}")


@pytest.mark.parametrize("whose", ["strangers'", "another client's", "nobody's"])
async def test_an_organisation_that_may_be_somebody_elses_is_refused_and_all_is_undone(
    grove: Provisioner, admin: GrafanaAdmin, client: str, whose: str
) -> None:
    client_id, made = new_id(), None
    if whose == "strangers'":
        made = (await admin.create("/api/orgs", {"name": f"Strangers {client_id}"}))["orgId"]
        named = {"name": "S", "login": f"s-{client_id}", "email": f"s@{client_id}.x"}
        await admin.create("/api/admin/users", named | {"password": "long-random", "OrgId": made})
    mine = await org_of(grove, client)
    wanted = {"strangers'": made, "another client's": mine, "nobody's": 2**31 - 1}[whose]
    if whose == "another client's":
        # As it looks to a Grove whose control plane has forgotten the number.
        await grove.execute("UPDATE grove.clients SET grafana_org_id = NULL WHERE id = $1", client)

    view = await grove.create(client_id, grafanaOrgId=wanted)

    assert (view.state, (view.error or {})["code"], (view.error or {})["pointer"]) == (
        "failed", "organisation_refused", "/grafanaOrgId",
    )  # fmt: skip
    assert await grove.fetch("SELECT FROM grove.clients WHERE id = $1", client_id) == []
    if made is not None:
        await admin.delete(f"/api/admin/users/{(await members_of(admin, made))[f's-{client_id}']['userId']}")
        await admin.delete(f"/api/orgs/{made}")
    assert changes(await grove.reconcile(client)) == []
    assert await org_of(grove, client) == mine


async def test_grafanas_own_organisation_is_refused_at_once(grove: Provisioner) -> None:
    with pytest.raises(InputRefused):
        await grove.request(new_id(), grafanaOrgId=1)


async def test_new_templates_are_tried_by_some_given_to_all_and_taken_back(grove: Provisioner, client: str) -> None:
    other, shipped = new_id(), shipped_templates()
    await grove.create(other)
    grove.templates = msgspec.structs.replace(shipped, version=shipped.version + 1)

    async def versions() -> dict[str, set[int]]:
        rows = await grove.fetch("SELECT client_id, version FROM grove.dashboards_installed")
        return {each: {row["version"] for row in rows if row["client_id"] == each} for each in (client, other)}

    await grove.reconcile(client)
    assert await versions() == {client: {shipped.version}, other: {shipped.version}}
    async with grove.control.session() as session:
        tried = await try_release(session, shipped.version + 1, 1, ACTOR)
    for each in (client, other):
        await grove.reconcile(each)
    assert len(tried) == 1
    assert {each: found == {shipped.version + 1} for each, found in (await versions()).items()} == {
        each: each in tried for each in (client, other)
    }
    for version in (shipped.version + 1, shipped.version):
        async with grove.control.session() as session:
            assert {client, other} <= set(await offer_release(session, version, ACTOR))
        for each in (client, other):
            await grove.reconcile(each)
        assert await versions() == {client: {version}, other: {version}}
    grove.templates = None
    await grove.remove(other)


async def test_an_organisation_that_was_taken_over_is_not_taken_by_the_client_whose_name_it_has(
    grove: Provisioner, admin: GrafanaAdmin
) -> None:
    first, second = new_id(), new_id()
    org = (await admin.create("/api/orgs", {"name": second}))["orgId"]
    assert (await grove.create(first, grafanaOrgId=org)).state == "succeeded"
    # As it is between two steps of an onboarding, or after somebody removed it.
    await admin.delete("/api/datasources/uid/analytics", org=org)

    view = await grove.create(second)

    assert (view.state, (view.error or {})["code"]) == ("failed", "organisation_refused")
    assert ("create", "datasource", "analytics") in changes(await grove.reconcile(first))
    await grove.remove(first)
    await admin.delete(f"/api/orgs/{org}")


async def test_a_kept_version_of_the_dashboards_is_never_changed(grove: Provisioner, client: str) -> None:
    shipped = shipped_templates()
    async with grove.control.session() as session:
        await store_release(session, shipped)
    grove.templates = msgspec.structs.replace(shipped, dashboards=shipped.dashboards[:1])
    try:
        assert changes(await grove.reconcile(client)) == []
        async with grove.control.session() as session:
            with pytest.raises(ReleaseDiffers, match="a version of their own"):
                await store_release(session, grove.templates)
    finally:
        grove.templates = None
