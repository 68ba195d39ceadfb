"""Whatever a client's editors do in their Grafana: Grove's dashboards are there, theirs are kept, and people get in."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from provisioning.grafana import dashboards
from provisioning.grafana.client import GrafanaAdmin
from provisioning.operations import OperationView
from tenants.errors import GrafanaUnavailable
from tests.support.grafana import Target
from tests.support.provisioner import Provisioner

BEN = "ben@maple.example"


@pytest.fixture
async def client(grove: Provisioner) -> AsyncIterator[str]:
    """A client with an editor; it is removed afterwards."""
    client_id = f"maple-{secrets.token_hex(4)}"
    view = await grove.create(client_id, staff=[{"email": BEN, "role": "editor"}])
    assert view.state == "succeeded", view
    yield client_id
    assert (await grove.remove(client_id)).state == "succeeded"


@pytest.fixture
async def org(grove: Provisioner, client: str) -> int:
    (row,) = await grove.fetch("SELECT grafana_org_id FROM grove.clients WHERE id = $1", client)
    return int(row["grafana_org_id"])


@pytest.fixture
async def ben(grafana: Target, client: str, org: int) -> AsyncIterator[httpx.AsyncClient]:
    """The editor, as the gateway lets him in."""
    headers = {"X-WEBAUTH-USER": f"{client}:{BEN}", "X-Grafana-Org-Id": str(org)}
    async with httpx.AsyncClient(base_url=grafana.url, headers=headers, trust_env=False) as http:
        yield http


async def save(ben: httpx.AsyncClient, uid: str, title: str, *, folder: str = "", version: int = 0) -> None:
    model = {"uid": uid, "title": title, "panels": [], "tags": ["ben's"], "version": version}
    body = {"dashboard": model, "folderUid": folder, "overwrite": False}
    answer = await ben.post("/api/dashboards/db", json=body)
    assert answer.status_code == 200, answer.text


async def drop(ben: httpx.AsyncClient, path: str) -> None:
    assert (await ben.delete(path)).status_code == 200


def changes(view: OperationView) -> set[tuple[str, str, str]]:
    return {(each["action"], each["kind"], each["name"]) for each in (view.result or {})["changes"]}


async def dashboard(admin: GrafanaAdmin, org: int, uid: str) -> tuple[str, bool]:
    """Tell a dashboard's title, and whether it is what Ben has saved."""
    model = (await admin.get(f"/api/dashboards/uid/{uid}", org=org))["dashboard"]
    return model["title"], model.get("tags") == ["ben's"]


async def test_a_dashboard_of_the_staffs_with_the_title_of_groves_is_kept_under_another_one(
    grove: Provisioner, admin: GrafanaAdmin, client: str, org: int, ben: httpx.AsyncClient
) -> None:
    await drop(ben, "/api/dashboards/uid/user-events")
    await save(ben, "bens", "User Events Analytics", folder="chatbot")
    await save(ben, "bens-other", "User Events Analytics (own)", folder="chatbot")

    view = await grove.reconcile(client)

    assert (view.state, changes(view)) == ("succeeded", {
        ("create", "dashboard", "user-events"), ("change", "dashboard", "bens"),
        ("keep", "dashboard", "bens"), ("keep", "dashboard", "bens-other"), ("change", "home", "user-events"),
    })  # fmt: skip
    assert await dashboard(admin, org, "bens") == ("User Events Analytics (own 2)", True)
    assert await dashboard(admin, org, "user-events") == ("User Events Analytics", False)
    assert {action for action, _, _ in changes(await grove.reconcile(client))} == {"keep"}


async def test_one_of_groves_that_was_renamed_does_not_take_the_place_of_what_has_its_title_now(
    grove: Provisioner, admin: GrafanaAdmin, client: str, org: int, ben: httpx.AsyncClient
) -> None:
    await save(ben, "portfolio", "Mine", folder="website", version=1)
    await save(ben, "bens", "Portfolio", folder="website")
    assert (await grove.reconcile(client)).state == "succeeded"
    assert await dashboard(admin, org, "bens") == ("Portfolio (own)", True)
    assert await dashboard(admin, org, "portfolio") == ("Portfolio", False)
    assert changes(await grove.reconcile(client)) == {("keep", "dashboard", "bens")}


async def test_folders_with_the_titles_of_groves_folders_and_dashboards_are_kept_under_others(
    grove: Provisioner, admin: GrafanaAdmin, client: str, org: int, ben: httpx.AsyncClient
) -> None:
    await drop(ben, "/api/folders/chatbot")
    await drop(ben, "/api/dashboards/uid/portfolio")
    for uid, title in (("bens-chat", "Chatbot"), ("bens-folio", "portfolio!")):
        assert (await ben.post("/api/folders", json={"uid": uid, "title": title})).status_code == 200
    await save(ben, "bens", "Notes", folder="bens-chat")

    view = await grove.reconcile(client)

    assert view.state == "succeeded", view
    assert {("change", "folder", "bens-chat"), ("change", "folder", "bens-folio")} <= changes(view)
    titles = {uid: (await admin.get(f"/api/folders/{uid}", org=org))["title"] for uid in ("bens-chat", "chatbot")}
    assert titles == {"bens-chat": "Chatbot (own)", "chatbot": "Chatbot"}
    assert await dashboard(admin, org, "bens") == ("Notes", True)
    assert changes(await grove.reconcile(client)) == {("keep", "dashboard", "bens")}


async def test_a_folder_that_was_renamed_does_not_take_the_place_of_what_has_its_title_now(
    grove: Provisioner, admin: GrafanaAdmin, client: str, org: int, ben: httpx.AsyncClient
) -> None:
    assert (await ben.put("/api/folders/website", json={"title": "Mine", "overwrite": True})).status_code == 200
    assert (await ben.post("/api/folders", json={"uid": "bens", "title": "Website"})).status_code == 200
    assert changes(await grove.reconcile(client)) == {("change", "folder", "website"), ("change", "folder", "bens")}
    assert (await admin.get("/api/folders/website", org=org))["title"] == "Website"
    assert (await admin.get("/api/folders/bens", org=org))["title"] == "Website (own)"


async def test_a_dashboard_that_cannot_be_made_is_reported_and_holds_up_neither_people_nor_other_dashboards(
    grove: Provisioner, client: str, ben: httpx.AsyncClient
) -> None:
    for uid in ("user-events", "e-commerce"):
        await drop(ben, f"/api/dashboards/uid/{uid}")
    assert (await ben.post("/api/folders", json={"uid": "user-events", "title": "In the way"})).status_code == 200
    await grove.execute(
        "INSERT INTO grove.staff (id, client_id, email, name, role, status) "
        "VALUES (gen_random_uuid(), $1, 'new@maple.example', 'New', 'viewer', 'active')",
        client,
    )

    view = await grove.reconcile(client)

    assert (view.state, changes(view)) == ("succeeded", {
        ("fail", "dashboard", "user-events"), ("create", "dashboard", "e-commerce"),
        ("create", "user", f"{client}:new@maple.example"),
    })  # fmt: skip
    await drop(ben, "/api/folders/user-events")
    assert changes(await grove.reconcile(client)) == {
        ("create", "dashboard", "user-events"), ("change", "home", "user-events"),
    }  # fmt: skip


async def test_what_was_saved_and_not_recorded_is_not_taken_for_the_staffs(
    grove: Provisioner, admin: GrafanaAdmin, client: str, org: int, ben: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await drop(ben, "/api/dashboards/uid/portfolio")
    await grove.reconcile(client)
    await drop(ben, "/api/dashboards/uid/portfolio")
    await grove.execute("DELETE FROM grove.dashboards_installed WHERE client_id = $1 AND uid = 'portfolio'", client)
    await save(ben, "portfolio", "Ben's own", folder="website")
    saving = dashboards.save_dashboard

    async def save_and_fail(room: Any, wanted: dashboards.Wanted) -> int:
        await saving(room, wanted)
        message = "The answer was lost."
        raise GrafanaUnavailable(message)

    with monkeypatch.context() as patch:
        patch.setattr(dashboards, "save_dashboard", save_and_fail)
        waiting = await grove.reconcile(client)
    assert waiting.state == "pending"
    await grove.make_due(waiting.id)
    view = await grove.runner().run(waiting.id)

    assert view.state == "succeeded"
    (copy,) = [name for action, _, name in changes(view) if action == "keep"]
    title, is_bens = await dashboard(admin, org, copy)
    assert (title, is_bens) == ("Ben's own (own 1)", True)
    assert changes(await grove.reconcile(client)) == {("keep", "dashboard", copy)}


async def test_an_organisation_that_stays_keeps_neither_a_first_page_that_is_gone_nor_empty_folders(
    grove: Provisioner, admin: GrafanaAdmin
) -> None:
    client_id = f"maple-{secrets.token_hex(4)}"
    org = (await admin.create("/api/orgs", {"name": f"Already here {client_id}"}))["orgId"]
    assert (await grove.create(client_id, grafanaOrgId=org)).state == "succeeded"
    theirs = {"dashboard": {"uid": "theirs", "title": "Theirs", "panels": []}, "folderUid": "website"}
    await admin.create("/api/dashboards/db", theirs, org=org)

    assert (await grove.remove(client_id)).state == "succeeded"

    preferences = await admin.get("/api/org/preferences", org=org)
    assert (preferences["homeDashboardId"], preferences.get("homeDashboardUID", "")) == (0, "")
    hits = await admin.get("/api/search?limit=5000", org=org)
    assert {hit["uid"] for hit in hits} == {"website", "theirs"}
    await admin.delete(f"/api/orgs/{org}")
