"""A client's people over the API: invited, listed, changed, removed, and out at once."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.browser import ORIGIN, Browser, add_person
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.waiting import until


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url, public_url=ORIGIN) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client."""
    return await grove.make_client("maple", staff=[{"email": "First@maple.example", "name": "First"}])


@pytest.fixture(scope="module")
async def birch(grove: Grove) -> MadeClient:
    """Another client."""
    return await grove.make_client("birch")


async def listed(grove: Grove, client: MadeClient) -> dict[str, dict[str, Any]]:
    answer = await grove.http.get(f"{client.path}/staff?limit=200", headers=client.admin)
    assert answer.status_code == 200
    return {person["email"]: person for person in answer.json()["data"]}


async def test_people_of_the_onboarding_are_listed_beside_those_invited_since(grove: Grove, maple: MadeClient) -> None:
    made = await add_person(grove, maple, "Second@Maple.example", name="Second", role="editor", password=None)
    people = await listed(grove, maple)
    assert people["first@maple.example"]["role"] == "viewer"
    shown = people["second@maple.example"]
    assert (shown["name"], shown["role"], shown["status"]) == ("Second", "editor", "invited")
    assert shown == {name: value for name, value in made.items() if name not in {"mailed", "link"}}
    assert "hash" not in str(people)
    client = (await grove.http.get(maple.path, headers=grove.platform)).json()
    assert {"email": "second@maple.example", "name": "Second", "role": "editor"} in client["staff"]


async def test_people_are_listed_in_pages(grove: Grove, birch: MadeClient) -> None:
    for number in range(3):
        await add_person(grove, birch, f"p{number}@birch.example", password=None)
    seen, cursor = [], None
    while True:
        params: dict[str, Any] = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await grove.http.get(f"{birch.path}/staff", params=params, headers=birch.admin)).json()
        seen += [person["email"] for person in page["data"]]
        cursor = page["meta"]["next"]
        if cursor is None:
            break
    assert seen == ["p0@birch.example", "p1@birch.example", "p2@birch.example"]


@pytest.mark.parametrize(
    ("wanted", "status", "pointer"),
    [
        ({}, 400, "/email"),
        ({"email": "not an address"}, 400, "/email"),
        ({"email": "a@b"}, 400, "/email"),
        ({"email": "x\r\nBcc: y@z.example"}, 400, "/email"),
        ({"email": "a@maple.example", "role": "admin"}, 400, "/role"),
        ({"email": "a@maple.example", "name": "x" * 300}, 400, "/name"),
        ({"email": "a@maple.example", "name": "x\r\nBcc: y"}, 400, "/name"),
        ({"email": "a@maple.example", "password": "x"}, 400, "/password"),
        ({"email": "FIRST@maple.example"}, 409, "/email"),
    ],
)
async def test_what_cannot_be_invited_is_refused_by_name(
    grove: Grove, maple: MadeClient, wanted: dict[str, Any], status: int, pointer: str
) -> None:
    refused = await grove.http.post(f"{maple.path}/staff", json=wanted, headers=maple.admin)
    assert refused.status_code == status, refused.text
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_the_same_invitation_under_one_key_is_made_once(grove: Grove, maple: MadeClient) -> None:
    headers = maple.admin | {"Idempotency-Key": "once"}
    body = {"email": "once@maple.example"}
    first, second = [await grove.http.post(f"{maple.path}/staff", json=body, headers=headers) for _ in range(2)]
    assert second.json() == first.json() | {"link": None}
    other = await grove.http.post(f"{maple.path}/staff", json={"email": "two@maple.example"}, headers=headers)
    assert other.status_code == 422


@pytest.mark.parametrize("change", [{"status": "disabled"}, None])
async def test_who_is_disabled_or_removed_is_out_and_cannot_come_back(
    grove: Grove, maple: MadeClient, change: dict[str, str] | None
) -> None:
    email = f"out{change is None}@maple.example".lower()
    person = await add_person(grove, maple, email)
    browser = Browser(grove)
    await browser.log_in(maple.id, email)
    assert (await browser.get("/maple/")).status_code == 200
    path = f"{maple.path}/staff/{person['id']}"

    answer = await (
        grove.http.delete(path, headers=maple.admin)
        if change is None
        else grove.http.patch(path, json=change, headers=maple.admin)
    )

    assert answer.status_code == (204 if change is None else 200)
    # Within one process that is at the next poll; across processes see the test of two.
    await out(browser)
    assert (await browser.log_in(maple.id, email)).status_code == 422


async def out(browser: Browser) -> None:
    """Wait until a browser is sent to the login, which must be within a second."""

    async def is_out() -> bool:
        return (await browser.get("/maple/")).status_code == 303

    await until(is_out, within_s=1)


async def test_who_was_disabled_can_be_let_in_again_with_the_old_password(grove: Grove, maple: MadeClient) -> None:
    person = await add_person(grove, maple, "again@maple.example")
    path = f"{maple.path}/staff/{person['id']}"
    for status in ("disabled", "active"):
        answer = await grove.http.patch(path, json={"status": status}, headers=maple.admin)
        assert answer.json()["status"] == status
    assert (await Browser(grove).log_in(maple.id, "again@maple.example")).status_code == 303
    invited = await add_person(grove, maple, "never@maple.example", password=None)
    path = f"{maple.path}/staff/{invited['id']}"
    for status, shown in (("active", "invited"), ("disabled", "disabled"), ("active", "invited")):
        assert (await grove.http.patch(path, json={"status": status}, headers=maple.admin)).json()["status"] == shown


async def test_who_is_disabled_is_given_no_link(grove: Grove, maple: MadeClient) -> None:
    person = await add_person(grove, maple, "nolink@maple.example", password=None)
    path = f"{maple.path}/staff/{person['id']}"
    await grove.http.patch(path, json={"status": "disabled"}, headers=maple.admin)
    refused = await grove.http.post(f"{path}/invite", headers=maple.admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert (await Browser(grove).get(person["link"]["url"])).status_code == 404


async def test_another_clients_people_do_not_exist(grove: Grove, maple: MadeClient, birch: MadeClient) -> None:
    person = (await listed(grove, maple))["first@maple.example"]
    for staff_id in (person["id"], str(uuid4())):
        for base, headers in ((maple.path, birch.admin), (birch.path, birch.admin)):
            path = f"{base}/staff/{staff_id}"
            answers = [
                await grove.http.patch(path, json={"name": "Mallory"}, headers=headers),
                await grove.http.delete(path, headers=headers),
                await grove.http.post(f"{path}/invite", headers=headers),
            ]
            assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert (await listed(grove, maple))["first@maple.example"] == person


@pytest.mark.parametrize("kind", ["server", "browser"])
async def test_only_an_admin_key_manages_people(grove: Grove, maple: MadeClient, kind: str) -> None:
    headers = getattr(maple, kind)
    assert (await grove.http.get(f"{maple.path}/staff", headers=headers)).status_code == 403
    refused = await grove.http.post(f"{maple.path}/staff", json={"email": "x@maple.example"}, headers=headers)
    assert refused.status_code == 403


async def test_changing_the_clients_list_invites_changes_and_removes(grove: Grove) -> None:
    elm = await grove.make_client("elm", staff=[{"email": "a@elm.example"}, {"email": "b@elm.example"}])
    wanted = [{"email": "B@elm.example", "role": "editor"}, {"email": "c@elm.example", "name": "C"}]
    changed = await grove.http.patch(elm.path, json={"staff": wanted}, headers=elm.admin)
    assert changed.status_code == 200
    assert [person["email"] for person in changed.json()["staff"]] == ["b@elm.example", "c@elm.example"]
    people = await listed(grove, elm)
    assert {email: person["role"] for email, person in people.items()} == {
        "b@elm.example": "editor",
        "c@elm.example": "viewer",
    }
    actions = [
        entry["action"] for entry in (await grove.http.get(f"{elm.path}/audit", headers=elm.admin)).json()["data"]
    ]
    assert {"staff.invite", "staff.change", "staff.remove", "client.change"} <= set(actions)


async def test_what_is_done_is_written_down_without_secrets(grove: Grove, maple: MadeClient) -> None:
    person = await add_person(grove, maple, "audited@maple.example")
    await Browser(grove).log_in(maple.id, "audited@maple.example")
    await grove.http.patch(f"{maple.path}/staff/{person['id']}", json={"role": "editor"}, headers=maple.admin)
    entries = (await grove.http.get(f"{maple.path}/audit?limit=200", headers=maple.admin)).json()["data"]
    mine = [entry for entry in entries if person["id"] in str(entry)]
    assert {"staff.invite", "staff.login", "staff.change"} <= {entry["action"] for entry in mine}
    assert "audited@maple.example" not in str(entries)
    assert person["link"]["url"].rpartition("/")[2] not in str(entries)
