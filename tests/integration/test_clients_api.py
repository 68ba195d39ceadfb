"""Onboarding, reading, changing and removing clients over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import Grove, MadeClient, bearer, open_grove, own_database
from tests.support.waiting import until

WAIT = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url, delete_grace_days=3) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def cedar(grove: Grove) -> MadeClient:
    """A client that no test changes for good."""
    return await grove.make_client("cedar", domain="cedar.example")


async def post(grove: Grove, path: str, headers: dict[str, str], json: Any = None) -> httpx.Response:
    return await grove.http.post(path, headers=headers, json=json)


async def test_onboarding_that_is_waited_for_answers_with_the_client_and_its_keys(grove: Grove) -> None:
    wanted = {"id": "maple", "name": "Maple", "domain": "maple.example", "branding": {"primaryColor": "#c2410c"}}
    answer = await post(grove, "/api/v1/clients", grove.platform | {"Prefer": "wait=30"}, wanted)
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait=30"
    assert answer.headers["location"] == "/api/v1/clients/maple"
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert made["status"] == "active"
    assert made["dashboardUrl"] == "http://grove.test/maple/"
    assert made["branding"]["primaryColor"] == "#c2410c"
    assert {kind: key[:6] for kind, key in made["keys"].items()} == {
        "admin": "grv_a_",
        "server": "grv_s_",
        "browser": "grv_w_",
    }
    own = await grove.http.get("/api/v1/clients/maple", headers=bearer(made["keys"]["admin"]))
    assert own.json() == {name: value for name, value in made.items() if name not in {"keys", "operationId"}}


async def test_onboarding_answers_at_once_with_an_operation_that_shows_the_keys_once(grove: Grove) -> None:
    answer = await post(grove, "/api/v1/clients", grove.platform, {"id": "birch", "name": "Birch"})
    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "1"
    assert "preference-applied" not in answer.headers
    place = answer.headers["location"]
    assert place == f"/api/v1/operations/{answer.json()['id']}"
    operation = await finished(grove, place)
    assert operation["state"] == "succeeded"
    assert set(operation["keys"]) == {"admin", "server", "browser"}
    assert {step["state"] for step in operation["steps"]} <= {"done", "skipped"}
    assert any("no Grafana configured" in (step["detail"] or "") for step in operation["steps"])
    assert (await grove.http.get(place, headers=grove.platform)).json()["keys"] is None


async def finished(grove: Grove, place: str) -> dict[str, Any]:
    """Read an operation until it has ended."""
    operation: dict[str, Any] = {}

    async def has_ended() -> bool:
        operation.update((await grove.http.get(place, headers=grove.platform)).json())
        return operation["state"] in {"succeeded", "failed"}

    await until(has_ended, within_s=30)
    return operation


async def test_a_wait_that_is_too_short_is_answered_with_the_operation(grove: Grove) -> None:
    answer = await post(grove, "/api/v1/clients", grove.platform | {"Prefer": "wait=0"}, {"id": "ash", "name": "Ash"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=0"
    await finished(grove, answer.headers["location"])


@pytest.mark.parametrize(
    ("wanted", "status", "pointer"),
    [
        ({"id": "Maple"}, 400, "/id"),
        ({"id": "metrics"}, 400, "/id"),
        ({"id": "clients"}, 400, "/id"),
        ({"id": "cedar"}, 409, "/id"),
        ({"domain": "cedar.example"}, 409, "/domain"),
        ({"domain": "no domain"}, 400, "/domain"),
        ({"timezone": "Mars/Base"}, 400, "/timezone"),
        ({"branding": {"primaryColor": "red"}}, 400, "/branding/primaryColor"),
        ({"branding": {"logoUrl": "javascript:alert(1)"}}, 400, "/branding/logoUrl"),
        ({"placement": {"kind": "database", "url": "postgresql://a:b@127.0.0.1:1/x"}}, 400, "/placement/url"),
        ({"placement": {"kind": "cloud"}}, 400, "/placement/kind"),
        ({"staff": [{"email": "nobody"}]}, 400, "/staff/0/email"),
        ({"colour": "red"}, 400, None),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_made(
    grove: Grove, cedar: MadeClient, wanted: dict[str, Any], status: int, pointer: str | None
) -> None:
    before = (await grove.http.get("/clients", headers=grove.platform)).json()
    answer = await post(grove, "/api/v1/clients", grove.platform | WAIT, {"id": "nobody", "name": "N"} | wanted)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await grove.http.get("/clients", headers=grove.platform)).json() == before
    assert cedar.id in {client["id"] for client in before}


async def test_an_onboarding_that_fails_while_it_is_waited_for_answers_with_the_problem_and_leaves_nothing(
    postgres: EmbeddedPostgres,
) -> None:
    async with open_grove(postgres.url) as grove:
        async with own_database(postgres.url) as url:
            wanted = {"id": "yew", "name": "Yew", "placement": {"kind": "database", "url": url}}
            ordered = await post(grove, "/api/v1/clients", grove.platform | {"Idempotency-Key": "yew"}, wanted)
            assert ordered.status_code == 202
        # Its database is gone before a worker comes to it.
        async with grove.worker():
            again = grove.platform | WAIT | {"Idempotency-Key": "yew"}
            failed = await post(grove, "/api/v1/clients", again, wanted)
            assert (failed.status_code, failed.json()["code"]) == (500, "operation_failed"), failed.text
            operation = await finished(grove, ordered.headers["location"])
        assert operation["state"] == "failed"
        assert (await grove.http.get("/clients", headers=grove.platform)).json() == []


async def test_clients_are_listed_in_short_and_in_pages(grove: Grove, cedar: MadeClient) -> None:
    short = (await grove.http.get("/clients", headers=grove.platform)).json()
    url = "http://grove.test/cedar/"
    assert {"id": "cedar", "name": "Cedar", "domain": "cedar.example", "dashboardUrl": url} in short
    seen, cursor = [], None
    while True:
        params = {"limit": 1} | ({} if cursor is None else {"cursor": cursor})
        page = (await grove.http.get("/api/v1/clients", params=params, headers=grove.platform)).json()
        seen += [client["id"] for client in page["data"]]
        if (cursor := page["meta"]["next"]) is None:
            break
    assert seen == sorted(client["id"] for client in short)
    assert cedar.id in seen


async def test_only_the_platform_lists_clients(grove: Grove, cedar: MadeClient) -> None:
    for path in ("/clients", "/api/v1/clients", "/api/v1/keys"):
        for headers in (cedar.admin, cedar.server, cedar.browser):
            assert (await grove.http.get(path, headers=headers)).status_code == 403
        assert (await grove.http.get(path)).status_code == 401


async def test_changing_leaves_out_what_is_left_out_and_takes_away_what_is_null(grove: Grove) -> None:
    made = await grove.make_client("hazel", domain="hazel.example", timezone="Europe/Paris")
    changed = await grove.http.patch(made.path, headers=grove.platform, json={"name": "Hazel & Co"})
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["domain"]) == ("Hazel & Co", "hazel.example")
    assert changed.json()["timezone"] == "Europe/Paris"
    freed = await grove.http.patch(made.path, headers=grove.platform, json={"domain": None})
    assert freed.json()["domain"] is None
    people = [{"email": "ana@hazel.example", "name": "Ana", "role": "viewer"}]
    staffed = await grove.http.patch(made.path, headers=made.admin, json={"staff": people})
    assert staffed.json()["staff"] == people


@pytest.mark.parametrize(
    "change", [{"placement": {"kind": "database"}}, {"id": "other"}, {"name": None}, {"timezone": "x"}, {"name": ""}]
)
async def test_a_change_that_cannot_be_is_refused(grove: Grove, cedar: MadeClient, change: dict[str, Any]) -> None:
    answer = await grove.http.patch(cedar.path, headers=grove.platform, json=change)
    assert answer.status_code == 400


async def test_a_clients_own_admin_changes_its_branding_and_nothing_the_agency_decides(
    grove: Grove, cedar: MadeClient
) -> None:
    change = {"branding": {"primaryColor": "#123456"}}
    assert (await grove.http.patch(cedar.path, headers=cedar.admin, json=change)).status_code == 200
    agencys: list[dict[str, Any]] = [{"name": "x"}, {"timezone": "UTC"}, {"domain": None}, {"dashboards": []}]
    for refused in agencys:
        answer = await grove.http.patch(cedar.path, headers=cedar.admin, json=refused)
        assert answer.status_code == 403, refused
    for action in ("suspend", "resume", "restore", "isolation-check"):
        assert (await post(grove, f"{cedar.path}/{action}", cedar.admin)).status_code == 403
    assert (await grove.http.delete(cedar.path, headers=cedar.admin)).status_code == 403
    for headers in (cedar.server, cedar.browser):
        assert (await grove.http.get(cedar.path, headers=headers)).status_code == 403


async def test_a_suspended_client_is_shut_to_its_own_keys_and_open_again_when_resumed(grove: Grove) -> None:
    made = await grove.make_client("alder")
    suspended = await post(grove, f"{made.path}/suspend", grove.platform)
    assert (suspended.status_code, suspended.json()["state"]) == (200, "succeeded")
    shut = await grove.http.get(f"{made.path}/keys", headers=made.admin)
    assert (shut.status_code, shut.json()["code"]) == (403, "client_suspended")
    assert (await grove.http.get(made.path, headers=grove.platform)).json()["status"] == "suspended"
    await post(grove, f"{made.path}/resume", grove.platform)
    assert (await grove.http.get(f"{made.path}/keys", headers=made.admin)).status_code == 200


async def test_a_deleted_client_waits_for_its_grace_and_can_be_restored(grove: Grove) -> None:
    made = await grove.make_client("willow")
    deleted = await grove.http.delete(made.path, headers=grove.platform)
    assert deleted.status_code == 200
    shown = (await grove.http.get(made.path, headers=grove.platform)).json()
    assert shown["status"] == "deleting"
    assert shown["deleteAfter"] is not None
    assert (await grove.http.get(made.path, headers=made.admin)).status_code == 403
    assert (await post(grove, f"{made.path}/restore", grove.platform)).status_code == 200
    assert (await grove.http.get(made.path, headers=made.admin)).json()["status"] == "active"
    again = await post(grove, f"{made.path}/restore", grove.platform)
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


async def test_a_client_without_grace_is_removed_and_its_id_starts_without_its_past(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url, delete_grace_days=0) as grove, grove.worker():
        first = await grove.make_client("maple")
        removed = await grove.http.delete(first.path, headers=grove.platform | WAIT)
        assert (removed.status_code, removed.json()["state"]) == (200, "succeeded")
        assert (await grove.http.get(first.path, headers=grove.platform)).status_code == 404
        assert (await grove.http.get(first.path, headers=first.admin)).status_code == 401
        second = await grove.make_client("maple")
        entries = (await grove.http.get(f"{second.path}/audit", headers=second.admin)).json()["data"]
        assert [entry["action"] for entry in entries].count("client.create") == 1
        old = await grove.http.get(f"/api/v1/operations/{first.body['operationId']}", headers=second.admin)
        assert old.status_code == 404
        own = await grove.http.get(f"/api/v1/operations/{second.body['operationId']}", headers=second.admin)
        assert own.status_code == 200


async def test_the_walls_of_a_client_are_tried(grove: Grove, cedar: MadeClient) -> None:
    answer = await post(grove, f"{cedar.path}/isolation-check", grove.platform | WAIT)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["summary"]["leaks"] == 0


async def test_the_audit_log_tells_who_did_what_newest_first(grove: Grove) -> None:
    made = await grove.make_client("linden")
    await grove.http.patch(made.path, headers=grove.platform | {"X-Request-Id": "audited-request"}, json={"name": "L"})
    first = (await grove.http.get(f"{made.path}/audit?limit=1", headers=made.admin)).json()
    assert first["data"][0]["action"] == "client.change"
    assert first["data"][0]["request_id"] == "audited-request"
    cursor = first["meta"]["next"]
    rest = (await grove.http.get(f"{made.path}/audit", params={"cursor": cursor}, headers=made.admin)).json()
    actions = [entry["action"] for entry in rest["data"]]
    assert "client.create" in actions
    assert "client.change" not in actions


async def test_a_change_of_branding_leaves_the_other_half_of_it_as_it_was(grove: Grove) -> None:
    logo = "https://yew.example/logo.png"
    made = await grove.make_client("yew", branding={"primaryColor": "#111", "logoUrl": logo})
    for change, then in (
        ({"primaryColor": "#222"}, {"primaryColor": "#222", "logoUrl": logo}),
        ({}, {"primaryColor": "#222", "logoUrl": logo}),
        ({"logoUrl": None}, {"primaryColor": "#222", "logoUrl": None}),
    ):
        answer = await grove.http.patch(made.path, json={"branding": change}, headers=made.admin)
        assert (answer.status_code, answer.json()["branding"]) == (200, then), answer.text


async def test_deleting_twice_is_one_deletion(grove: Grove) -> None:
    made = await grove.make_client("rowan")
    first = await grove.http.delete(made.path, headers=grove.platform)
    again = await grove.http.delete(made.path, headers=grove.platform)
    assert (again.status_code, again.json()) == (200, first.json())
    entries = (await grove.http.get(f"{made.path}/audit", headers=grove.platform)).json()["data"]
    assert [entry["action"] for entry in entries].count("client.delete") == 1
    # Deleted anew after it was taken back, that is another deletion.
    await post(grove, f"{made.path}/restore", grove.platform)
    anew = await grove.http.delete(made.path, headers=grove.platform)
    assert anew.json()["id"] != first.json()["id"]


async def test_a_client_that_is_being_deleted_is_not_changed_and_gets_no_keys(grove: Grove) -> None:
    made = await grove.make_client("spruce")
    key = (await grove.http.get(f"{made.path}/keys", headers=grove.platform)).json()["data"][0]
    await grove.http.delete(made.path, headers=grove.platform)
    for answer in (
        await grove.http.patch(made.path, json={"name": "Other"}, headers=grove.platform),
        await post(grove, f"{made.path}/keys", grove.platform, {"kind": "server"}),
        await post(grove, f"{made.path}/keys/{key['id']}/rotate", grove.platform, {}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state"), answer.text
        assert "restore" in answer.json()["detail"]
    revoked = await grove.http.delete(f"{made.path}/keys/{key['id']}", headers=grove.platform)
    assert revoked.status_code == 204
    await post(grove, f"{made.path}/restore", grove.platform)
    assert (await post(grove, f"{made.path}/keys", grove.platform, {"kind": "server"})).status_code == 201


@pytest.mark.parametrize("path", ["", "/audit", "/keys"])
async def test_a_cursor_of_something_else_is_refused(grove: Grove, cedar: MadeClient, path: str) -> None:
    base = cedar.path + path if path else "/api/v1/clients"
    answer = await grove.http.get(base, params={"cursor": "e30"}, headers=grove.platform)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")
