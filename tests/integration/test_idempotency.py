"""Creating requests that are sent twice."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import Grove, MadeClient, open_grove

WAIT = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url, delete_grace_days=0) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def cedar(grove: Grove) -> MadeClient:
    """A client."""
    return await grove.make_client("cedar")


async def test_a_repeated_onboarding_makes_one_client_and_shows_no_keys_again(grove: Grove) -> None:
    wanted = {"id": "maple", "name": "Maple"}
    headers = grove.platform | WAIT | {"Idempotency-Key": "maple"}
    first = await grove.http.post("/api/v1/clients", json=wanted, headers=headers)
    again = await grove.http.post("/api/v1/clients", json=dict(reversed(wanted.items())), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() | {"keys": None}
    assert first.json()["keys"]["admin"] not in again.text


async def test_concurrent_doubles_of_an_onboarding_make_one_client(grove: Grove) -> None:
    headers = grove.platform | WAIT | {"Idempotency-Key": "birch"}
    wanted = {"id": "birch", "name": "Birch"}
    answers = await asyncio.gather(
        *(grove.http.post("/api/v1/clients", json=wanted, headers=headers) for _ in range(4))
    )
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.json()["operationId"] for answer in answers}) == 1
    assert sum(answer.json()["keys"] is not None for answer in answers) == 1


async def test_another_request_under_the_same_key_is_refused(grove: Grove, cedar: MadeClient) -> None:
    headers = cedar.admin | {"Idempotency-Key": "one"}
    await grove.http.post(f"{cedar.path}/keys", json={"kind": "server"}, headers=headers)
    other = await grove.http.post(f"{cedar.path}/keys", json={"kind": "admin"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    # Keys of the header belong to whoever sends them.
    foreign = await grove.http.post(
        f"{cedar.path}/keys", json={"kind": "admin"}, headers=grove.platform | {"Idempotency-Key": "one"}
    )
    assert foreign.status_code == 201


async def test_a_repeated_key_is_made_once_and_shown_once(grove: Grove, cedar: MadeClient) -> None:
    async def send() -> tuple[int, str, str | None]:
        headers = cedar.admin | {"Idempotency-Key": "till"}
        answer = await grove.http.post(f"{cedar.path}/keys", json={"kind": "server", "name": "till"}, headers=headers)
        return answer.status_code, answer.json()["id"], answer.json()["key"]

    answers = await asyncio.gather(*(send() for _ in range(4)))
    assert {(status, key_id) for status, key_id, _ in answers} == {(201, answers[0][1])}
    assert sum(key is not None for _, _, key in answers) == 1
    listed = (await grove.http.get(f"{cedar.path}/keys?limit=200", headers=cedar.admin)).json()["data"]
    assert [key["name"] for key in listed].count("till") == 1


async def test_a_repeated_rotation_makes_one_successor(grove: Grove, cedar: MadeClient) -> None:
    made = (await grove.http.post(f"{cedar.path}/keys", json={"kind": "server"}, headers=cedar.admin)).json()
    path, headers = f"{cedar.path}/keys/{made['id']}/rotate", cedar.admin | {"Idempotency-Key": "rotation"}
    first = (await grove.http.post(path, json={}, headers=headers)).json()
    again = (await grove.http.post(path, json={}, headers=headers)).json()
    assert again == first | {"key": None}


async def test_a_refused_request_does_not_use_up_its_key(grove: Grove, cedar: MadeClient) -> None:
    headers = grove.platform | WAIT | {"Idempotency-Key": "larch"}
    taken = await grove.http.post("/api/v1/clients", json={"id": cedar.id, "name": "L"}, headers=headers)
    assert taken.status_code == 409
    made = await grove.http.post("/api/v1/clients", json={"id": "larch", "name": "L"}, headers=headers)
    assert made.status_code == 201


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "tab\there"])
async def test_a_malformed_key_is_refused(grove: Grove, cedar: MadeClient, key: str) -> None:
    headers = cedar.admin | {"Idempotency-Key": key}
    answer = await grove.http.post(f"{cedar.path}/keys", json={"kind": "server"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_idempotency_key")


@pytest.mark.parametrize("prefer", [{}, WAIT], ids=["at once", "waited for"])
async def test_a_key_under_which_a_client_was_made_is_free_again_when_that_is_removed(
    grove: Grove, prefer: dict[str, str]
) -> None:
    name = f"again-{len(prefer)}"
    wanted, key = {"id": name, "name": "Again"}, {"Idempotency-Key": name}
    first = await grove.http.post("/api/v1/clients", json=wanted, headers=grove.platform | WAIT | key)
    assert first.status_code == 201
    removed = await grove.http.delete(f"/api/v1/clients/{name}", headers=grove.platform | WAIT)
    assert removed.json()["kind"] == "client.remove"
    made = await grove.http.post("/api/v1/clients", json=wanted, headers=grove.platform | prefer | key)
    assert made.status_code == (201 if prefer else 202), made.text
    again = await grove.http.post("/api/v1/clients", json=wanted, headers=grove.platform | WAIT | key)
    assert again.status_code == 201, again.text
    operation_id = made.json()["operationId" if prefer else "id"]
    assert again.json()["operationId"] == operation_id != first.json()["operationId"]


async def test_a_key_does_not_show_another_client_that_has_the_id_by_now(grove: Grove) -> None:
    key = {"Idempotency-Key": "hornbeam"}
    wanted = {"id": "hornbeam", "name": "First"}
    await grove.http.post("/api/v1/clients", json=wanted, headers=grove.platform | WAIT | key)
    await grove.http.delete("/api/v1/clients/hornbeam", headers=grove.platform | WAIT)
    await grove.make_client("hornbeam", name="Second")
    for prefer in ({}, WAIT):
        taken = await grove.http.post("/api/v1/clients", json=wanted, headers=grove.platform | prefer | key)
        assert (taken.status_code, taken.json()["code"]) == (409, "already_taken"), taken.text
