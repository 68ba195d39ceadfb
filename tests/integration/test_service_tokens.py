"""Service tokens: wherever a key of their scopes is taken, for a while, and out everywhere when they are revoked."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.workers.leftovers import purge_tokens
from app.workers.resources import open_worker_resources
from tenants.tokens import LEEWAY
from tests.support.clock import SetClock
from tests.support.grove import Grove, MadeClient, bearer, open_grove
from tests.support.waiting import until

EVENTS = "/api/v1/events"
EVENT = {"name": "page_view"}
CLOCK = SetClock()


@contextmanager
def later(by: timedelta) -> Iterator[None]:
    """Let it be later for a while."""
    CLOCK.ahead = by
    try:
        yield
    finally:
        CLOCK.ahead = timedelta(0)


class Owner:
    """A client that has tokens."""

    def __init__(self, grove: Grove, client: MadeClient) -> None:
        self.grove = grove
        self.client = client
        self.path = f"{client.path}/tokens"

    async def ask(self, headers: dict[str, str] | None = None, **wanted: Any) -> httpx.Response:
        """Ask for a token."""
        return await self.grove.http.post(self.path, json=wanted, headers=headers or self.client.admin)

    async def issue(self, **wanted: Any) -> dict[str, Any]:
        """Get a token."""
        answer = await self.ask(**wanted)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def key(self, kind: str = "server", **wanted: Any) -> dict[str, Any]:
        """Make a key."""
        answer = await self.grove.http.post(
            f"{self.client.path}/keys", json={"kind": kind, **wanted}, headers=self.client.admin
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def send(self, token: str, grove: Grove | None = None) -> int:
        """Send an event with a token and return the answer's status."""
        return (await (grove or self.grove).http.post(EVENTS, json=EVENT, headers=bearer(token))).status_code

    async def read(self, token: str) -> int:
        """Ask a question with a token and return the answer's status."""
        return (await self.grove.http.get(f"/api/{self.client.id}/daily", headers=bearer(token))).status_code

    async def is_out(self, token: str, grove: Grove | None = None) -> None:
        """Wait until a process refuses a token; it has a second."""

        async def is_refused() -> bool:
            return await self.send(token, grove) == 401

        await until(is_refused, within_s=1)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker, whose clock is ours."""
    async with open_grove(postgres.url, clock=CLOCK) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def twin(grove: Grove) -> AsyncIterator[Grove]:
    """A second process on the same database."""
    async with grove.twin(clock=CLOCK) as second:
        yield second


@pytest.fixture(scope="module")
async def owner(grove: Grove) -> Owner:
    """A client whose tokens these are."""
    return Owner(grove, await grove.make_client("billing"))


async def test_a_token_does_what_its_scopes_say_and_no_more(owner: Owner) -> None:
    both, write, read = [
        (await owner.issue(**wanted))["token"] for wanted in ({}, {"scopes": ["write"]}, {"scopes": ["read"]})
    ]
    assert [await owner.send(token) for token in (both, write, read)] == [202, 202, 403]
    assert [await owner.read(token) for token in (both, write, read)] == [200, 403, 200]
    for token in (both, write, read):
        assert (await owner.ask(bearer(token))).status_code == 403
        assert (await owner.grove.http.get(f"{owner.client.path}/keys", headers=bearer(token))).status_code == 403


async def test_a_token_is_taken_in_each_place_of_a_key_and_shown_once(owner: Owner) -> None:
    made = await owner.issue(name="billing")
    answer = await owner.grove.http.post(EVENTS, json=EVENT, headers={"X-API-Key": made["token"]})
    assert answer.status_code == 202
    answer = await owner.grove.http.post(f"{EVENTS}?key={made['token']}", json=EVENT)
    assert answer.status_code == 202
    listed = (await owner.grove.http.get(owner.path, headers=owner.client.admin)).json()["data"]
    assert listed[-1] == made | {"token": None}


async def test_anothers_things_are_not_there_for_a_token(owner: Owner, grove: Grove) -> None:
    other = await grove.make_client("other")
    token = (await owner.issue())["token"]
    for path in (f"/api/{other.id}/daily", f"{other.path}/tokens", f"{other.path}/keys"):
        assert (await grove.http.get(path, headers=bearer(token))).status_code == 404, path
    key = (await grove.http.get(f"{other.path}/keys", headers=other.admin)).json()["data"][0]
    answer = await owner.ask(key_id=key["id"])
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/key_id")


async def test_what_a_token_sends_counts_under_its_key_and_its_limits(owner: Owner) -> None:
    key = await owner.key(rate_limit=1, rate_burst=1)
    token = (await owner.issue(key_id=key["id"]))["token"]
    assert await owner.send(token) == 202
    assert await owner.send(token) == 429
    assert await owner.send(key["key"]) == 429
    usage = (await owner.grove.http.get(f"{owner.client.path}/usage", headers=owner.client.admin)).json()
    assert [each["received"] for each in usage["data"] if each["key_id"] == key["id"]] == [1]


async def test_a_token_is_over_after_its_time(owner: Owner) -> None:
    made = await owner.issue(lifetime_s=60)
    assert await owner.send(made["token"]) == 202
    with later(timedelta(seconds=60)):
        assert await owner.send(made["token"]) == 202  # the clocks of machines differ a little
    with later(timedelta(seconds=60) + LEEWAY):
        assert await owner.send(made["token"]) == 401


async def test_a_revoked_token_is_out_in_every_process(owner: Owner, twin: Grove) -> None:
    revoked, other = await owner.issue(), await owner.issue()
    assert [await owner.send(revoked["token"], process) for process in (owner.grove, twin)] == [202, 202]
    answer = await twin.http.delete(f"{owner.path}/{revoked['id']}", headers=owner.client.admin)
    assert answer.status_code == 204
    for process in (owner.grove, twin):
        await owner.is_out(revoked["token"], process)
        assert await owner.send(other["token"], process) == 202


async def test_a_token_goes_with_its_key(owner: Owner, twin: Grove) -> None:
    key = await owner.key()
    token = (await owner.issue(key_id=key["id"]))["token"]
    assert await owner.send(token, twin) == 202
    await owner.grove.http.delete(f"{owner.client.path}/keys/{key['id']}", headers=owner.client.admin)
    await owner.is_out(token, twin)
    answer = await owner.ask(key_id=key["id"])
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/key_id")


async def test_a_token_ends_no_later_than_its_key(owner: Owner) -> None:
    ends_at = CLOCK() + timedelta(minutes=5)
    key = await owner.key(expires_at=ends_at.isoformat())
    made = await owner.issue(key_id=key["id"], lifetime_s=3600)
    assert made["expires_at"] == key["expires_at"]
    with later(timedelta(minutes=5)):
        assert await owner.send(made["token"]) == 401


async def test_another_signing_key_breaks_nothing_unless_it_is_to(owner: Owner, twin: Grove) -> None:
    made = await owner.issue()
    rotate, platform = "/api/v1/token-keys/rotate", owner.grove.platform
    assert (await owner.grove.http.post(rotate, json={}, headers=platform)).status_code == 201
    again = await owner.issue()
    first, second = made["token"], again["token"]
    assert first.split(".")[0] != second.split(".")[0]
    for token in (first, second):
        assert [await owner.send(token, process) for process in (owner.grove, twin)] == [202, 202]
    answer = await owner.grove.http.post(rotate, json={"at_once": True}, headers=platform)
    assert answer.status_code == 201
    for token in (first, second):
        await owner.is_out(token, twin)
    listed = (await owner.grove.http.get(owner.path, headers=owner.client.admin)).json()["data"]
    ended = [each["revoked_at"] is not None for each in listed if each["id"] in {made["id"], again["id"]}]
    assert ended == [True, True]
    assert await owner.send((await owner.issue())["token"], twin) == 202


async def test_a_signing_key_serves_for_a_while_without_being_asked(owner: Owner) -> None:
    first, again = (await owner.issue())["token"], (await owner.issue())["token"]
    with later(timedelta(days=91)):
        last = (await owner.issue())["token"]
    assert first.split(".")[0] == again.split(".")[0] != last.split(".")[0]


async def test_the_platform_says_which_key_is_meant(owner: Owner) -> None:
    answer = await owner.ask(owner.grove.platform)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/key_id")
    key = await owner.key()
    made = await owner.ask(owner.grove.platform, key_id=key["id"])
    assert await owner.read(made.json()["token"]) == 200


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"lifetime_s": 3601}, "/lifetime_s"),
        ({"lifetime_s": 0}, "/lifetime_s"),
        ({"scopes": ["manage"]}, "/scopes/0"),
        ({"scopes": []}, "/scopes"),
        ({"name": "a\nb"}, "/name"),
        ({"key_id": str(uuid.uuid4())}, "/key_id"),
    ],
)
async def test_a_token_that_cannot_be_is_refused_with_a_pointer(
    owner: Owner, wanted: dict[str, Any], pointer: str
) -> None:
    answer = await owner.ask(**wanted)
    assert answer.status_code == 400, answer.text
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}


async def test_a_browsers_key_has_no_tokens(owner: Owner) -> None:
    key = await owner.key("browser")
    assert (await owner.ask(key_id=key["id"])).status_code == 400


async def test_a_repeated_request_issues_one_token_and_shows_it_once(owner: Owner) -> None:
    headers = owner.client.admin | {"Idempotency-Key": "token-1"}
    first, again = (await owner.ask(headers)).json(), (await owner.ask(headers)).json()
    assert again == first | {"token": None}


async def test_what_is_long_over_is_forgotten_and_nothing_else(owner: Owner) -> None:
    made = await owner.issue()
    async with open_worker_resources(owner.grove.settings, clock=CLOCK) as resources:
        await purge_tokens(resources)
        assert await owner.send(made["token"]) == 202
        with later(timedelta(days=3)):
            assert await purge_tokens(resources) > 0
            answer = await owner.grove.http.get(owner.path, headers=owner.client.admin)
            assert made["id"] not in {each["id"] for each in answer.json()["data"]}
            assert await owner.send((await owner.issue())["token"]) == 202
