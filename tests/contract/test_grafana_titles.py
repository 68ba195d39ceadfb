"""Which titles Grafana takes, and what it saves over: the double and a real one alike."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.grafana import Target


@pytest.fixture
async def http(grafana: Target) -> AsyncIterator[httpx.AsyncClient]:
    """The administrator in an organisation of its own, with a folder, and a dashboard in it and in none."""
    auth = httpx.BasicAuth("admin", grafana.password)
    async with httpx.AsyncClient(base_url=grafana.url, auth=auth, trust_env=False, timeout=30) as client:
        made = await client.post("/api/orgs", json={"name": f"titles-{secrets.token_hex(4)}"})
        client.headers["X-Grafana-Org-Id"] = str(made.json()["orgId"])
        await client.post("/api/folders", json={"uid": "chatbot", "title": "Chatbot"})
        await client.post("/api/folders", json={"uid": "website", "title": "Website"})
        await save(client, "inside", "Inside", folder="chatbot")
        await save(client, "outside", "Outside")
        yield client
        await client.delete(f"/api/orgs/{made.json()['orgId']}")


async def save(
    http: httpx.AsyncClient, uid: str, title: str, *, folder: str = "", version: int = 0, overwrite: bool = False
) -> httpx.Response:
    model = {"uid": uid, "title": title, "panels": [], "version": version}
    body = {"dashboard": model, "folderUid": folder, "overwrite": overwrite}
    return await http.post("/api/dashboards/db", json=body)


def told(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("status")


@pytest.mark.parametrize(
    ("uid", "title", "given", "expected"),
    [
        ("new", "Inside", {"folder": "chatbot"}, (412, "name-exists")),
        ("new", "inside!", {"folder": "chatbot"}, (412, "name-exists")),
        ("new", "Inside", {"folder": "website"}, (200, "success")),
        ("new", "Inside", {}, (200, "success")),
        ("new", "Chatbot", {}, (400, "name-match")),
        ("new", "Website", {"folder": "chatbot"}, (400, "name-match")),
        ("new", "Website", {"folder": "chatbot", "overwrite": True}, (400, "name-match")),
        ("inside", "Inside", {"folder": "chatbot"}, (412, "version-mismatch")),
        ("inside", "Inside", {"folder": "chatbot", "version": 1}, (200, "success")),
        ("inside", "Outside", {"version": 1}, (412, "name-exists")),
        ("chatbot", "Other", {"overwrite": True}, (400, None)),
    ],
)
async def test_a_dashboards_title_must_be_free(
    http: httpx.AsyncClient, uid: str, title: str, given: dict[str, Any], expected: tuple[int, str | None]
) -> None:
    assert told(await save(http, uid, title, **given)) == expected


@pytest.mark.parametrize("uid", ["new", "outside"])
async def test_overwriting_saves_over_whatever_has_the_title_and_keeps_its_uid(
    http: httpx.AsyncClient, uid: str
) -> None:
    answer = await save(http, uid, "Inside", folder="chatbot", overwrite=True)
    assert (answer.status_code, answer.json()["uid"], answer.json()["version"]) == (200, "inside", 2)


@pytest.mark.parametrize(
    ("uid", "title", "expected"),
    [
        ("new", "Chatbot", 409), ("new", "chatbot!", 409), ("chatbot", "Other", 412), ("inside", "Other", 400),
        ("new", "Outside", 400), ("new", "Inside", 200),
    ],
)  # fmt: skip
async def test_a_folders_title_and_uid_must_be_free(
    http: httpx.AsyncClient, uid: str, title: str, expected: int
) -> None:
    assert (await http.post("/api/folders", json={"uid": uid, "title": title})).status_code == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"title": "Other", "version": 1}, (200, "website")),
        ({"title": "Other", "version": 9}, (412, None)),
        ({"title": "Other"}, (412, None)),
        ({"title": "Chatbot", "version": 1}, (409, None)),
        ({"title": "Chatbot", "overwrite": True}, (200, "chatbot")),
        ({"title": "Outside", "overwrite": True}, (400, None)),
    ],
)
async def test_a_folder_is_renamed_to_what_is_free_and_overwriting_renames_another(
    http: httpx.AsyncClient, body: dict[str, Any], expected: tuple[int, str | None]
) -> None:
    answer = await http.put("/api/folders/website", json=body)
    assert (answer.status_code, answer.json().get("uid")) == expected


async def test_a_search_finds_folders_too_and_shows_titles_as_they_stand_in_addresses(http: httpx.AsyncClient) -> None:
    hits = (await http.get("/api/search?limit=5000")).json()
    assert {(hit["uid"], hit["type"], hit.get("folderUid"), hit["url"].rpartition("/")[2]) for hit in hits} == {
        ("chatbot", "dash-folder", None, "chatbot"),
        ("website", "dash-folder", None, "website"),
        ("inside", "dash-db", "chatbot", "inside"),
        ("outside", "dash-db", None, "outside"),
    }


async def test_a_folder_is_read_as_a_dashboard_too_and_takes_what_is_in_it_along(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/dashboards/uid/chatbot")).json()["meta"]["isFolder"] is True
    assert (await http.delete("/api/folders/chatbot")).status_code == 200
    assert (await http.get("/api/dashboards/uid/inside")).status_code == 404


async def test_the_first_page_keeps_the_number_of_a_dashboard_that_is_gone_until_it_is_cleared(
    http: httpx.AsyncClient,
) -> None:
    async def prefer(uid: str) -> None:
        body = {"homeDashboardUID": uid, "theme": "", "timezone": "", "weekStart": ""}
        assert (await http.put("/api/org/preferences", json=body)).status_code == 200

    async def shown() -> tuple[bool, str | None]:
        found = (await http.get("/api/org/preferences")).json()
        return found["homeDashboardId"] != 0, found.get("homeDashboardUID")

    await prefer("inside")
    assert await shown() == (True, "inside")
    await http.delete("/api/dashboards/uid/inside")
    assert await shown() == (True, None)
    await prefer("")
    assert await shown() == (False, None)
