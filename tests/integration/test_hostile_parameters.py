"""Parameters that are well-formed and that no database could store are refused, not crashed on."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import Grove, MadeClient, open_grove

FIRST_MOMENT, LAST_MOMENT = "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"
NOBODY = "00000000-0000-0000-0000-000000000000"
KEYS: list[Any] = [
    "\0", "a\0b", "", 2**70, -(2**70), 2**63, 1.5, None, True, [], {},
    [FIRST_MOMENT, NOBODY], [LAST_MOMENT, NOBODY], ["2026-11-01T00:00:00", NOBODY], ["2026-11-01T00:00:00Z", "\0"],
    [FIRST_MOMENT, "s"], [LAST_MOMENT, "s"], ["2026-11-01T00:00:00", "s"],
]  # fmt: skip
# Lists that a client's own keys read.
OF_READERS = ("/api/{client_id}/", "/api/v1/quarantine")


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client."""
    return await grove.make_client("maple")


async def list_routes(grove: Grove) -> list[str]:
    """Find every path that takes a cursor."""
    paths = (await grove.http.get("/schema/openapi.json")).json()["paths"]
    return [
        path
        for path, methods in paths.items()
        if any(each["name"] == "cursor" for each in methods.get("get", {}).get("parameters", ()))
    ]


@pytest.mark.parametrize("key", KEYS, ids=json.dumps)
async def test_no_list_stumbles_over_a_cursor_that_nothing_could_store(
    grove: Grove, maple: MadeClient, key: Any
) -> None:
    routes = await list_routes(grove)
    assert len(routes) >= 5
    cursor = base64.urlsafe_b64encode(json.dumps(key).encode()).decode()
    for route in routes:
        headers = maple.server if route.startswith(OF_READERS) else grove.platform
        path = route.replace("{client_id}", maple.id)
        answer = await grove.http.get(path, params={"cursor": cursor}, headers=headers)
        assert answer.status_code in {200, 400}, (route, answer.text)
        assert answer.status_code == 400 or key == "", (route, answer.text)


@pytest.mark.parametrize("client_id", ["a%00b", "%00", "a%FFb", "a%ED%A0%80b", "x" * 5000, "A", "a%0A"])
async def test_an_id_that_no_client_can_have_is_one_that_is_not_there(grove: Grove, client_id: str) -> None:
    path = f"/api/v1/clients/{client_id}"
    for method, rest in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/keys"), ("POST", "/keys"), ("GET", "/audit"),
        ("GET", "/usage"), ("POST", "/suspend"), ("POST", "/isolation-check"),
    ):  # fmt: skip
        body = {"kind": "server"} if rest == "/keys" else {}
        answer = await grove.http.request(method, path + rest, json=body, headers=grove.platform)
        assert answer.status_code == 404, (method, rest, answer.text)


@pytest.mark.parametrize("expires_at", [FIRST_MOMENT, LAST_MOMENT, "2026-11-01T00:00:00", 10**30])
async def test_a_key_cannot_end_before_time_began_or_after_it_has_ended(
    grove: Grove, maple: MadeClient, expires_at: Any
) -> None:
    for path, body in ((f"{maple.path}/keys", {"kind": "server"}), ("/api/v1/keys", {})):
        answer = await grove.http.post(path, json=body | {"expires_at": expires_at}, headers=grove.platform)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/expires_at"), answer.text


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800"], ids=["NUL", "NUL within", "lone surrogate"])
@pytest.mark.parametrize(
    "body",
    [
        {"name": "?"}, {"timezone": "?"}, {"domain": "?"}, {"branding": {"primaryColor": "?"}},
        {"branding": {"logoUrl": "?"}}, {"staff": [{"email": "?"}]}, {"staff": [{"email": "a@b.example", "name": "?"}]},
        {"staff": [{"email": "a@b.example", "role": "?"}]}, {"dashboards": ["?"]},
    ],
    ids=json.dumps,
)  # fmt: skip
async def test_no_text_of_a_client_may_hold_what_nothing_could_store(
    grove: Grove, maple: MadeClient, body: dict[str, Any], text: str
) -> None:
    change = json.dumps(body).replace("?", json.dumps(text)[1:-1])
    new = json.dumps({"id": "elm", "name": "Elm"} | body).replace("?", json.dumps(text)[1:-1])
    headers = grove.platform | {"Content-Type": "application/json"}
    for answer in (
        await grove.http.patch(maple.path, content=change, headers=headers),
        await grove.http.post("/api/v1/clients", content=new, headers=headers),
    ):
        assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "placement",
    [
        {"server": "\0"}, {"server": "a\0b"}, {"kind": "\0"}, {"partitionInterval": "\0"},
        {"kind": "database", "url": "postgresql://u:p\0@127.0.0.1:1/x"},
        {"kind": "database", "url": "postgresql://u%00:p@127.0.0.1:1/x"},
        {"kind": "database", "url": "postgresql://u:p@127.0.0.1:1/x%00"},
        {"kind": "database", "url": "postgresql://u:p@127.0.0.1:99999999999/x"},
        {"kind": "external", "url": "postgresql://u:p@127.0.0.1:1/x", "schema": "\0"},
        {"kind": "external", "url": "postgresql://u:p@127.0.0.1:1/x", "tables": {"Leads": "\0"}},
        {"kind": "external", "url": "postgresql://u:p@127.0.0.1:1/x", "sourceTimezone": "\0"},
    ],
    ids=json.dumps,
)  # fmt: skip
async def test_a_place_that_nothing_could_store_is_refused(grove: Grove, placement: dict[str, Any]) -> None:
    body = {"id": "elm", "name": "Elm", "placement": placement}
    answer = await grove.http.post("/api/v1/clients", json=body, headers=grove.platform)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("step", ["\0", "a\0b", "", "x" * 129])
async def test_a_step_that_no_event_can_be_named_after_is_refused(grove: Grove, maple: MadeClient, step: str) -> None:
    path = "/api/v1/analytics/funnel/analyze"
    answer = await grove.http.post(path, json={"steps": ["page_view", step]}, headers=maple.server)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/steps/1"), answer.text


@pytest.mark.parametrize(
    ("times", "pointer"),
    [({"from": "x"}, "/from"), ({"to": "x"}, "/to"), ({"from": "2026-01-02", "to": "2026-01-01"}, "/from")],
)
async def test_what_is_wrong_in_the_times_of_a_funnel_is_pointed_at(
    grove: Grove, maple: MadeClient, times: dict[str, str], pointer: str
) -> None:
    body = {"steps": ["page_view", "purchase"]} | times
    answer = await grove.http.post("/api/v1/analytics/funnel/analyze", json=body, headers=maple.server)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer), answer.text


@pytest.mark.parametrize("at", ["\0", FIRST_MOMENT, LAST_MOMENT, "9" * 40, "nan", "inf", "-1e400"])
@pytest.mark.parametrize("name", ["from", "to"])
async def test_a_range_beyond_time_is_refused(grove: Grove, maple: MadeClient, name: str, at: str) -> None:
    for path in (f"{maple.path}/usage", "/api/maple/funnel", "/api/maple/sessions", "/api/v1/quarantine"):
        answer = await grove.http.get(path, params={name: at}, headers=maple.admin)
        assert answer.status_code == 400, (path, answer.text)


@pytest.mark.parametrize("limit", ["\0", str(2**70), "-1", "1e3"])
async def test_a_limit_beyond_numbers_is_refused(grove: Grove, maple: MadeClient, limit: str) -> None:
    for route in await list_routes(grove):
        headers = maple.server if route.startswith(OF_READERS) else grove.platform
        path = route.replace("{client_id}", maple.id)
        answer = await grove.http.get(path, params={"limit": limit}, headers=headers)
        assert answer.status_code == 400, (route, answer.text)


@pytest.mark.parametrize("name", ["X-Request-Id", "Idempotency-Key", "Prefer", "Authorization", "X-API-Key"])
async def test_no_header_stumbles(grove: Grove, maple: MadeClient, name: str) -> None:
    for value in (b"\x00", b"\xff\xfe", b"x" * 5000, b""):
        headers = [(key.encode(), text.encode()) for key, text in grove.platform.items() if key != name]
        given = [*headers, (name.encode(), value)]
        answer = await grove.http.post(f"{maple.path}/keys", json={"kind": "server"}, headers=given)
        assert answer.status_code < 500, (value, answer.text)
