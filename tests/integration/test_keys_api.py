"""Keys over HTTP: made, listed, replaced, ended."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.clock import utc_now
from tests.support.grove import Grove, MadeClient, bearer, open_grove
from tests.support.waiting import until


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client."""
    return await grove.make_client("maple")


async def make_key(grove: Grove, client: MadeClient, **wanted: Any) -> dict[str, Any]:
    answer = await grove.http.post(f"{client.path}/keys", json={"kind": "server"} | wanted, headers=client.admin)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made: dict[str, Any] = answer.json()
    return made


async def works(grove: Grove, key: str) -> bool:
    """Tell whether a key of kind server is let in where any of the client's may look."""
    status = (await grove.http.get("/api/v1/clients", headers=bearer(key))).status_code
    assert status in {401, 403}
    return status == 403


async def test_a_new_key_is_shown_once_and_listed_without_itself(grove: Grove, maple: MadeClient) -> None:
    made = await make_key(grove, maple, name="till")
    assert made["key"].startswith("grv_s_")
    assert await works(grove, made["key"])
    listed = (await grove.http.get(f"{maple.path}/keys", headers=maple.admin)).json()["data"]
    shown = next(key for key in listed if key["id"] == made["id"])
    assert shown["key"] is None
    assert shown["name"] == "till"
    assert made["key"] not in str(listed)


async def test_keys_are_listed_in_pages(grove: Grove, maple: MadeClient) -> None:
    whole = (await grove.http.get(f"{maple.path}/keys?limit=200", headers=maple.admin)).json()
    assert whole["meta"]["next"] is None
    first = (await grove.http.get(f"{maple.path}/keys?limit=2", headers=maple.admin)).json()
    params = {"limit": 200, "cursor": first["meta"]["next"]}
    rest = (await grove.http.get(f"{maple.path}/keys", params=params, headers=maple.admin)).json()
    assert [key["id"] for key in first["data"] + rest["data"]] == [key["id"] for key in whole["data"]]


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "platform"},
        {"kind": "server", "origins": ["https://maple.example"]},
        {"kind": "browser", "origins": ["maple.example"]},
        {"kind": "browser", "origins": ["https://maple.example/"]},
        {"kind": "browser", "origins": ["https://*.maple.example"]},
        {"kind": "browser", "origins": ["*"]},
        {"kind": "browser", "origins": ["https://maple.example:99999"]},
        {"kind": "browser", "origins": ["https://maple.example:443"]},
        {"kind": "browser", "origins": ["https://Maple.example"]},
        {"kind": "browser", "origins": ["null"]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00"},
        {"name": "x" * 300},
        {"colour": "red"},
    ],
)
async def test_a_key_that_cannot_be_is_refused(grove: Grove, maple: MadeClient, wanted: dict[str, Any]) -> None:
    answer = await grove.http.post(f"{maple.path}/keys", json={"kind": "server"} | wanted, headers=maple.admin)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"]


async def test_a_rotated_key_works_beside_its_successor_until_the_overlap_is_over(
    grove: Grove, maple: MadeClient
) -> None:
    old = await make_key(grove, maple, name="till")
    path = f"{maple.path}/keys/{old['id']}/rotate"
    new = (await grove.http.post(path, json={"overlap_s": 3600}, headers=maple.admin)).json()
    assert new["name"] == "till"
    assert await works(grove, old["key"])
    assert await works(grove, new["key"])
    again = await grove.http.post(path, json={}, headers=maple.admin)
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    newest = await grove.http.post(f"{maple.path}/keys/{new['id']}/rotate", json={"overlap_s": 0}, headers=maple.admin)
    assert await works(grove, newest.json()["key"])
    await ended(grove, new["key"])


async def ended(grove: Grove, key: str, *, within_s: float = 1) -> None:
    """Wait until a key is out; one that was ended by hand must be within a second."""

    async def is_out() -> bool:
        return not await works(grove, key)

    await until(is_out, within_s=within_s)


async def test_a_revoked_key_is_out_within_a_second_and_stays_listed(grove: Grove, maple: MadeClient) -> None:
    made = await make_key(grove, maple)
    assert await works(grove, made["key"])
    for _ in range(2):
        answer = await grove.http.delete(f"{maple.path}/keys/{made['id']}", headers=maple.admin)
        assert answer.status_code == 204
    await ended(grove, made["key"])
    listed = (await grove.http.get(f"{maple.path}/keys?limit=200", headers=maple.admin)).json()["data"]
    assert next(key for key in listed if key["id"] == made["id"])["revoked_at"] is not None


async def test_an_expiring_key_ends_by_itself(grove: Grove, maple: MadeClient) -> None:
    ends_at = datetime.now(UTC) + timedelta(seconds=0.7)  # noqa: TID251 - real time is what the server goes by
    made = await make_key(grove, maple, expires_at=ends_at.isoformat())
    assert await works(grove, made["key"])
    await ended(grove, made["key"], within_s=5)


async def test_only_who_manages_a_client_manages_its_keys(grove: Grove, maple: MadeClient) -> None:
    birch = await grove.make_client("birch")
    assert (await grove.http.get(f"{maple.path}/keys", headers=grove.platform)).status_code == 200
    for headers in (maple.server, maple.browser):
        assert (await grove.http.get(f"{maple.path}/keys", headers=headers)).status_code == 403
    foreign = (await grove.http.get(f"{maple.path}/keys", headers=maple.admin)).json()["data"][0]["id"]
    for path in (f"{maple.path}/keys/{foreign}", f"{birch.path}/keys/{foreign}"):
        assert (await grove.http.delete(path, headers=birch.admin)).status_code == 404
    assert (await grove.http.get(f"{maple.path}/keys", headers=maple.admin)).json()["data"][0]["revoked_at"] is None


async def test_platform_keys_are_made_replaced_and_ended_by_the_platform_alone(grove: Grove, maple: MadeClient) -> None:
    made = (await grove.http.post("/api/v1/keys", json={"name": "second"}, headers=grove.platform)).json()
    second = bearer(made["key"])
    assert (await grove.http.get("/clients", headers=second)).status_code == 200
    assert (await grove.http.post("/api/v1/keys", json={}, headers=maple.admin)).status_code == 403
    rotated = await grove.http.post(f"/api/v1/keys/{made['id']}/rotate", json={"overlap_s": 60}, headers=second)
    third = bearer(rotated.json()["key"])
    assert (await grove.http.delete(f"/api/v1/keys/{made['id']}", headers=third)).status_code == 204

    async def is_out() -> bool:
        return (await grove.http.get("/clients", headers=second)).status_code == 401

    await until(is_out, within_s=1)
    listed = (await grove.http.get("/api/v1/keys", headers=third)).json()["data"]
    assert {key["kind"] for key in listed} == {"platform"}
    own = maple.body["keys"]
    assert own["server"] not in str(listed)


async def test_a_malformed_key_is_refused(grove: Grove) -> None:
    for headers in ({}, bearer("grv_p_x"), bearer(""), {"X-API-Key": "nonsense"}, {"Authorization": "Basic eA=="}):
        answer = await grove.http.get("/clients", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_a_successor_ends_when_the_old_key_would_have_unless_it_is_told_otherwise(
    grove: Grove, maple: MadeClient
) -> None:
    def read(text: str) -> datetime:
        return datetime.fromisoformat(text)

    ends_at, later = utc_now() + timedelta(days=90), utc_now() + timedelta(days=120)
    old = await make_key(grove, maple, expires_at=ends_at.isoformat())
    path = f"{maple.path}/keys/{old['id']}/rotate"
    heir = (await grove.http.post(path, json={"overlap_s": 60}, headers=maple.admin)).json()
    assert read(heir["expires_at"]) == ends_at

    path = f"{maple.path}/keys/{heir['id']}/rotate"
    past = await grove.http.post(path, json={"expires_at": "2020-01-01T00:00:00Z"}, headers=maple.admin)
    assert (past.status_code, past.json()["errors"][0]["pointer"]) == (400, "/expires_at")
    prolonged = (await grove.http.post(path, json={"expires_at": later.isoformat()}, headers=maple.admin)).json()
    assert read(prolonged["expires_at"]) == later

    path = f"{maple.path}/keys/{prolonged['id']}/rotate"
    endless = (await grove.http.post(path, json={"expires_at": None}, headers=maple.admin)).json()
    assert endless["expires_at"] is None
