"""Every route, asked with every kind of another client's keys about everything that a client has.

The answer must be the one that is given about what does not exist, to the letter. A route that is added has to be
told to this walk, or it fails.
"""

import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest

from app.asgi import create_litestar
from app.embedded.postgres import EmbeddedPostgres
from app.ingest.dialects.segment import SEGMENT
from app.ingest.dialects.spoken import ALIASES
from app.observability import Metrics
from tests.support.grove import Grove, MadeClient, grove_settings, open_grove

# Which objects a path names, by its parameters.
OF_CLIENTS = {
    "adaptor_id",
    "client_id",
    "key_id",
    "operation_id",
    "quarantine_id",
    "schema_id",
    "source_id",
    "staff_id",
    "token_id",
}
# Paths that name nothing of a client's: public pages, lists whose owner is the key, and what only the platform has.
PUBLIC = {
    "/docs", "/api/docs", "/docs/{name}", "/health", "/health/live", "/health/ready", "/metrics", "/problems/{slug}",
    "/schema", "/schema/openapi.json", "/schema/{path}", "/sdk.js", "/analytics-sdk.js", "/sdk-more.js",
    "/tag/{file}",
}  # fmt: skip
BY_KEY_ALONE = {
    "/api/v1/events", "/api/v1/events/{event_id}", "/api/v1/quarantine", "/api/v1/quarantine/replay",
    "/api/v1/quarantine/purge", "/api/v1/analytics/summary", "/api/v1/analytics/realtime",
    "/api/v1/analytics/funnel/analyze", "/api/schemas", "/api/adaptors", "/api/events/ingest",
    "/api/events/stats", "/api/v1/sources", "/api/v1/core/collect", "/api/v1/analytics/track/event",
    "/api/v1/analytics/track/batch", *(dialect.path for dialect in SEGMENT), *ALIASES,
}  # fmt: skip
# Things below a path that names no client, which keys that may not read learn nothing of either.
OF_READERS = {
    "/api/v1/quarantine/{quarantine_id}", "/api/v1/quarantine/{quarantine_id}/replay", "/api/schemas/{schema_id}",
    "/api/schemas/{schema_id}/json-schema", "/api/schemas/{schema_id}/types.ts", "/api/adaptors/{adaptor_id}",
    "/api/adaptors/{adaptor_id}/check", "/api/adaptors/{adaptor_id}/rotate", "/api/v1/sources/{source_id}",
    "/api/v1/sources/{source_id}/check", "/api/v1/sources/{source_id}/rotate", "/api/v1/sources/{source_id}/try",
}  # fmt: skip
# Of these, what only an admin key may change.
OF_ADMINS = {
    "/api/schemas/{schema_id}", "/api/adaptors/{adaptor_id}", "/api/adaptors/{adaptor_id}/rotate",
    "/api/v1/sources/{source_id}", "/api/v1/sources/{source_id}/rotate",
}  # fmt: skip
# Where a signature is asked for instead of a key; one that is not there is answered like one that is wrong.
BY_SIGNATURE = {"/hooks/{source_id}"}
OF_PLATFORM = {
    "/clients", "/api/v1/clients", "/api/v1/keys", "/api/v1/keys/{key_id}", "/api/v1/keys/{key_id}/rotate",
    "/api/v1/token-keys/rotate",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "/api/v1/clients": {"id": "another", "name": "Another"},
    "/api/v1/clients/{client_id}": {"branding": {"primaryColor": "#000000"}},
    "/api/v1/clients/{client_id}/keys": {"kind": "admin"},
    "/api/v1/clients/{client_id}/staff": {"email": "eve@birch.example", "name": "Eve"},
    "/api/v1/quarantine/{quarantine_id}": {"event": {"name": "another"}},
    "/api/adaptors": {"name": "another", "website_url": "https://another.example"},
    "/api/adaptors/{adaptor_id}": {"name": "another", "website_url": "https://another.example"},
    "/api/v1/sources": {"kind": "stripe"},
    "/api/v1/sources/{source_id}/try": {"body": {}},
    "/api/schemas": {"name": "another", "properties": {"another": {}}},
    "/api/schemas/{schema_id}": {"name": "shop", "properties": {"another": {}}},
}
NONE = {
    "client_id": "nobody",
    "key_id": str(uuid.UUID(int=7)),
    "operation_id": str(uuid.UUID(int=8)),
    "staff_id": str(uuid.UUID(int=9)),
    "quarantine_id": str(uuid.UUID(int=10)),
    "schema_id": str(uuid.UUID(int=11)),
    "adaptor_id": str(uuid.UUID(int=12)),
    "token_id": str(uuid.UUID(int=13)),
    "source_id": str(uuid.UUID(int=14)),
    "event_id": "nothing",
}


class Route(NamedTuple):
    """One method of one path."""

    method: str
    path: str

    @property
    def names(self) -> set[str]:
        """Its parameters."""
        return {part.split("}")[0] for part in self.path.split("{")[1:]}


def every_route() -> Iterator[Route]:
    """List what the application answers to; the pages below a client's path have a walk of their own."""
    app = create_litestar(grove_settings("postgresql://a:b@127.0.0.1:1/x"), Metrics())
    for route in app.routes:
        if route.path.startswith("/{client_id"):
            continue
        for method in sorted(getattr(route, "methods", None) or {"POST"}):
            if method not in {"OPTIONS", "HEAD"}:
                yield Route(method, route.path_format)


ROUTES = sorted(every_route())  # in one order, so that several processes can share the tests
OBJECTS = [route for route in ROUTES if route.path not in PUBLIC | BY_KEY_ALONE | BY_SIGNATURE | OF_PLATFORM]


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def victim(grove: Grove) -> MadeClient:
    """The client whose things are asked about."""
    return await grove.make_client("maple", domain="maple.example")


@pytest.fixture(scope="module")
async def intruder(grove: Grove) -> MadeClient:
    """The client whose keys are used."""
    return await grove.make_client("birch")


@pytest.fixture(scope="module")
async def things(grove: Grove, victim: MadeClient) -> dict[str, str]:
    """One of each thing that the victim has."""
    keys = (await grove.http.get(f"{victim.path}/keys", headers=victim.admin)).json()["data"]
    ada = {"email": "ada@maple.example", "name": "Ada"}
    invited = await grove.http.post(f"{victim.path}/staff", json=ada, headers=victim.admin)
    assert invited.status_code == 201, invited.text
    bad = {"event_id": "refused-1", "name": 7}
    assert (await grove.http.post("/api/v1/events", json=bad, headers=victim.server)).status_code == 202
    (refused,) = (await grove.http.get("/api/v1/quarantine", headers=victim.server)).json()["data"]
    shop = {"name": "shop", "properties": {"purchase": {}}}
    schema = await grove.http.post("/api/schemas", json=shop, headers=victim.admin | {"Prefer": "wait=30"})
    assert schema.status_code == 201, schema.text
    site = {"name": "site", "website_url": "https://maple.example", "schema_id": schema.json()["id"]}
    adaptor = await grove.http.post("/api/adaptors", json=site, headers=victim.admin)
    assert adaptor.status_code == 201, adaptor.text
    paid = {"kind": "stripe", "secret": "whsec_of_maple"}
    source = await grove.http.post("/api/v1/sources", json=paid, headers=victim.admin)
    assert source.status_code == 201, source.text
    token = await grove.http.post(f"{victim.path}/tokens", json={}, headers=victim.admin)
    assert token.status_code == 201, token.text
    return {
        "client_id": victim.id,
        "source_id": source.json()["id"],
        "token_id": token.json()["id"],
        "key_id": keys[0]["id"],
        "operation_id": victim.body["operationId"],
        "staff_id": invited.json()["id"],
        "quarantine_id": refused["id"],
        "schema_id": schema.json()["id"],
        "adaptor_id": adaptor.json()["id"],
        "event_id": "refused-1",
    }


async def ask(grove: Grove, route: Route, named: Mapping[str, str], headers: dict[str, str]) -> httpx.Response:
    """Send a request of a route about the things named."""
    body = None if route.method in {"GET", "DELETE"} else BODIES.get(route.path, {})
    path = route.path.format(**{name: named[name] for name in route.names})
    return await grove.http.request(route.method, path, headers=headers, json=body)


def told(answer: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Take from an answer what may differ between any two requests."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    body = {name: value for name, value in answer.json().items() if name not in {"request_id", "instance"}}
    return answer.status_code, headers, body


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_the_walk_knows_how_to_fill_in_the_route(route: Route) -> None:
    if route in OBJECTS:
        assert route.names, f"{route.path} names nothing: is it public, the platform's, or by the key alone?"
        assert route.names <= OF_CLIENTS, f"teach this walk what {route.names - OF_CLIENTS} of a client are"


@pytest.mark.parametrize("kind", ["admin", "server", "browser"])
@pytest.mark.parametrize("route", OBJECTS, ids=" ".join)
async def test_anothers_things_and_none_at_all_are_answered_alike(
    grove: Grove, intruder: MadeClient, things: dict[str, str], route: Route, kind: str
) -> None:
    headers: dict[str, str] = getattr(intruder, kind)
    foreign = told(await ask(grove, route, things, headers))
    may_not_read = kind == "browser" and route.path in OF_READERS
    may_not_change = kind == "server" and route.path in OF_ADMINS and route.method != "GET"
    assert foreign[0] == (403 if may_not_read or may_not_change else 404)
    assert foreign == told(await ask(grove, route, NONE, headers))
    assert not any(thing in str(foreign) for thing in things.values())


@pytest.mark.parametrize("kind", ["admin", "server", "browser"])
@pytest.mark.parametrize("route", [route for route in OBJECTS if len(route.names) > 1], ids=" ".join)
async def test_anothers_things_below_the_own_path_and_none_at_all_are_answered_alike(
    grove: Grove, intruder: MadeClient, things: dict[str, str], route: Route, kind: str
) -> None:
    headers, own = getattr(intruder, kind), {"client_id": intruder.id}
    foreign = told(await ask(grove, route, things | own, headers))
    assert foreign[0] == (404 if kind == "admin" else 403)
    assert foreign == told(await ask(grove, route, NONE | own, headers))


@pytest.mark.parametrize("kind", ["admin", "server", "browser"])
@pytest.mark.parametrize("route", [route for route in ROUTES if route.path in OF_PLATFORM], ids=" ".join)
async def test_what_is_the_platforms_tells_a_clients_key_nothing(
    grove: Grove, intruder: MadeClient, things: dict[str, str], route: Route, kind: str
) -> None:
    headers: dict[str, str] = getattr(intruder, kind)
    foreign = told(await ask(grove, route, things, headers))
    assert foreign[0] == 403
    assert foreign == told(await ask(grove, route, NONE, headers))


@pytest.mark.parametrize("route", [route for route in ROUTES if route.path not in PUBLIC], ids=" ".join)
async def test_nothing_is_told_without_a_key(grove: Grove, things: dict[str, str], route: Route) -> None:
    answers = [told(await ask(grove, route, named, {})) for named in (things, NONE)]
    assert answers[0][0] == 401
    assert answers[0] == answers[1]


@pytest.mark.parametrize("kind", ["admin", "server", "browser"])
async def test_the_fate_of_anothers_event_is_that_of_one_never_sent(
    grove: Grove, intruder: MadeClient, things: dict[str, str], kind: str
) -> None:
    answers = []
    for event_id in (things["event_id"], NONE["event_id"]):
        answer = await grove.http.get(f"/api/v1/events/{event_id}", headers=getattr(intruder, kind))
        fate = {name: value for name, value in answer.json().items() if name not in {"event_id", "event_uuid"}}
        answers.append((answer.status_code, fate | {"request_id": None}))
    assert answers[0] == answers[1]
    assert answers[0][0] == (403 if kind == "browser" else 200)
    refused = (await grove.http.get("/api/v1/quarantine", headers=getattr(intruder, kind))).json()
    assert refused.get("data", []) == []


async def test_the_things_that_were_asked_about_are_really_there_and_untouched(
    grove: Grove, victim: MadeClient, things: dict[str, str]
) -> None:
    for route in OBJECTS:
        if route.method == "GET" and not route.path.startswith("/api/{client_id}/"):
            assert (await ask(grove, route, things, victim.admin)).status_code == 200, route
    shown = (await grove.http.get(victim.path, headers=grove.platform)).json()
    made = {name: value for name, value in victim.body.items() if name not in {"keys", "operationId"}}
    assert shown == made | {"staff": [{"email": "ada@maple.example", "name": "Ada", "role": "viewer"}]}
    (schema,) = (await grove.http.get("/api/schemas", headers=victim.server)).json()["data"]
    assert (schema["version"], schema["properties"]) == (1, {"purchase": {}})
    keys = (await grove.http.get(f"{victim.path}/keys", headers=grove.platform)).json()["data"]
    (adaptor,) = (await grove.http.get("/api/adaptors", headers=victim.server)).json()["data"]
    assert adaptor["name"] == "site"
    assert len(keys) == 4
    assert {key["revoked_at"] or key["replaced_by"] for key in keys} == {None}
