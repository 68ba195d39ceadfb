"""Adaptors: a site's tag with its rules and a key of its own, for its origins alone; and whether it sends."""

import gzip
import json
import re
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from app.ingest.other_origins import MAX_NOTED, OriginLog
from tenants.clock import utc_now
from tests.support.clock import SetClock
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.provisioner import fetch
from tests.support.waiting import until

PATH = "/api/adaptors"
EVENTS = "/api/v1/events"
SITE = "https://www.cedar.example"
WANTED = {"name": "site", "website_url": f"{SITE}/start?a=1"}
CARD = {"selector": ".product-card", "event": "product_view"}
SHOP = {"name": "shop", "properties": {"product_view": {"price": "number", "name": "string", "sold": "boolean"}}}


class Owner:
    """A client that has adaptors."""

    def __init__(self, grove: Grove, client: MadeClient) -> None:
        self.grove = grove
        self.client = client

    async def ask(self, method: str, path: str = "", key: str = "admin", **wanted: Any) -> httpx.Response:
        """Ask about adaptors with one of the client's keys."""
        headers = getattr(self.client, key) | wanted.pop("headers", {})
        return await self.grove.http.request(method, PATH + path, headers=headers, **wanted)

    async def create(self, **wanted: Any) -> dict[str, Any]:
        """Make an adaptor."""
        answer = await self.ask("POST", json=WANTED | wanted)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def schema(self) -> str:
        """Make a schema."""
        answer = await self.grove.http.post(
            "/api/schemas", json=SHOP, headers=self.client.admin | {"Prefer": "wait=30"}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def tag(self, adaptor: dict[str, Any], ending: str = ".js", **headers: str) -> httpx.Response:
        """Load a tag, as a browser does."""
        given = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.grove.http.get(f"/tag/{adaptor['container_id']}{ending}", headers=given)

    async def settings(self, adaptor: dict[str, Any]) -> dict[str, Any]:
        """Read what a tag says to the SDK."""
        said = re.match(r"window\.groveConfig=(\{.*?\});\n", (await self.tag(adaptor)).text)
        assert said is not None
        return dict(json.loads(said[1]))

    async def send(self, key: str, origin: str | None = SITE, **event: Any) -> httpx.Response:
        """Send an event as a browser does."""
        headers = {} if origin is None else {"Origin": origin}
        given = {"name": "page_view"} | event
        return await self.grove.http.post(f"{EVENTS}?key={key}", content=json.dumps(given), headers=headers)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url, delete_grace_days=0) as running, running.worker():
        yield running


@pytest.fixture
async def owner(grove: Grove) -> Owner:
    """A client of its own for each test."""
    return Owner(grove, await grove.make_client(f"site-{uuid.uuid4().hex[:12]}"))


async def test_an_adaptor_has_a_tag_and_a_key_for_its_origins_alone(owner: Owner) -> None:
    made = await owner.create(origins=["http://localhost:8080"])
    assert made["origins"] == [SITE, "http://localhost:8080"]
    assert made["tag_url"] == f"http://grove.test/tag/{made['container_id']}.js"
    assert made["snippet"] == f'<script async src="{made["tag_url"]}"></script>'
    keys = (await owner.grove.http.get(f"{owner.client.path}/keys", headers=owner.client.admin)).json()["data"]
    (key,) = [key for key in keys if key["id"] == made["key_id"]]
    assert (key["kind"], key["origins"]) == ("browser", made["origins"])
    settings = await owner.settings(made)
    for origin, status in ((SITE, 202), ("http://localhost:8080", 202), ("https://other.example", 403), (None, 403)):
        assert (await owner.send(settings["apiKey"], origin)).status_code == status
    assert (await owner.ask("GET", f"/{made['id']}", "server")).json() == made
    assert "grv_w_" not in json.dumps(made)


async def test_the_tag_says_its_rules_to_the_sdk_in_one_file(owner: Owner) -> None:
    rules = {"track_clicks": False, "selectors": [CARD | {"on": "submit", "properties": {"count": "number"}}]}
    made = await owner.create(tracking_rules=rules, privacy="balanced")
    settings = await owner.settings(made)
    assert settings["apiUrl"] == "http://grove.test"
    assert (settings["privacy"], settings["more"]) == ("balanced", "")
    assert (settings["rules"]["track_clicks"], settings["rules"]["web_vitals"]) == (False, True)
    assert settings["select"] == [CARD | {"on": "submit", "types": {"count": "number"}}]


async def test_a_tag_names_the_schema_and_takes_the_types_of_its_fields(owner: Owner) -> None:
    made = await owner.create(schema_id=await owner.schema(), tracking_rules={"selectors": [CARD]})
    settings = await owner.settings(made)
    assert settings["select"][0]["types"] == {"price": "number", "sold": "boolean"}
    text = (await owner.tag(made)).text
    assert '["product_view"].includes(n)?{...{"schema":"shop@1"},...d}' in text


async def test_a_tag_is_cached_by_its_etag_and_compressed(owner: Owner) -> None:
    made = await owner.create()
    plain = await owner.tag(made)
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "max-age=300" in plain.headers["cache-control"]
    zipped = await owner.tag(made, Accept_Encoding="gzip")
    assert (zipped.headers["content-encoding"], zipped.content) == ("gzip", plain.content)
    assert len(gzip.compress(plain.content)) < 5_000
    for answer in (plain, zipped):
        again = await owner.tag(
            made, If_None_Match=answer.headers["etag"],
            Accept_Encoding="gzip" if "content-encoding" in answer.headers else "identity",
        )  # fmt: skip
        assert (again.status_code, again.content) == (304, b"")
    head = await owner.grove.http.head(f"/tag/{made['container_id']}.js", headers={"Accept-Encoding": "identity"})
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", plain.headers["etag"])
    await owner.ask("PUT", f"/{made['id']}", json=WANTED | {"privacy": "off"})

    async def is_new() -> bool:
        return (await owner.tag(made, If_None_Match=plain.headers["etag"])).status_code == 200

    await until(is_new, within_s=1)


async def test_only_the_adaptors_origins_may_read_the_tag(owner: Owner) -> None:
    made = await owner.create()
    assert (await owner.tag(made, Origin=SITE)).headers["access-control-allow-origin"] == SITE
    for headers in ({"Origin": "https://other.example"}, {}):
        answer = await owner.tag(made, **headers)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]


async def test_a_sites_own_script_is_sent_to_its_origins_alone(owner: Owner) -> None:
    made = await owner.create(script="track('hello', {answer: 42})")
    tag = (await owner.tag(made)).text
    assert "answer: 42" not in tag
    source = f"/tag/{made['container_id']}.script.js"
    assert f'"http://grove.test{source}?' in tag
    script = await owner.tag(made, ".script.js", Origin=SITE)
    assert "track('hello', {answer: 42})" in script.text
    assert script.headers["access-control-allow-origin"] == SITE
    for headers in ({}, {"Origin": "http://grove.test"}, {"Origin": "https://other.example"}, {"Origin": "null"}):
        refused = await owner.tag(made, ".script.js", **headers)
        assert refused.status_code == 403
        assert "answer" not in refused.text
    without = await owner.create()
    assert (await owner.tag(without, ".script.js", Origin=SITE)).status_code == 404


async def test_no_other_spelling_of_the_address_is_a_tags(owner: Owner) -> None:
    made = await owner.create()
    container = made["container_id"]
    for path in (
        f"/tag/{container}", f"/tag/{container}.js/", f"/tag//{container}.js", f"/tag/{container}%2ejs",
        f"/tag/{container}.JS", f"/tag/{'x' * 20}.js", f"/tag/{container}.css",
    ):  # fmt: skip
        assert (await owner.grove.http.get(path)).status_code == 404, path


async def test_a_rotated_key_is_in_the_tag_and_the_old_one_works_for_the_overlap(owner: Owner) -> None:
    made = await owner.create()
    old = (await owner.settings(made))["apiKey"]
    rotated = await owner.ask("POST", f"/{made['id']}/rotate", json={"overlap_s": 3600})
    assert rotated.status_code == 201
    assert rotated.json()["container_id"] == made["container_id"]

    async def is_new() -> bool:
        return bool((await owner.settings(made))["apiKey"] != old)

    await until(is_new, within_s=1)
    new = (await owner.settings(made))["apiKey"]
    for key in (old, new):
        assert (await owner.send(key)).status_code == 202
    by_itself = await owner.grove.http.post(
        f"{owner.client.path}/keys/{rotated.json()['key_id']}/rotate", json={}, headers=owner.client.admin
    )
    assert by_itself.status_code == 409


async def test_changed_origins_hold_for_every_key_within_a_second(owner: Owner) -> None:
    made = await owner.create()
    key = (await owner.settings(made))["apiKey"]
    assert (await owner.send(key)).status_code == 202
    await owner.ask("PUT", f"/{made['id']}", json=WANTED | {"website_url": "https://new.cedar.example"})

    async def is_refused() -> bool:
        return (await owner.send(key)).status_code == 403

    await until(is_refused, within_s=1)
    assert (await owner.send(key, "https://new.cedar.example")).status_code == 202


async def test_a_deleted_adaptor_takes_its_tag_and_key_with_it(owner: Owner) -> None:
    made = await owner.create()
    key = (await owner.settings(made))["apiKey"]
    assert (await owner.send(key)).status_code == 202
    assert (await owner.ask("DELETE", f"/{made['id']}")).status_code == 204

    async def is_gone() -> bool:
        return (await owner.tag(made)).status_code == 404 and (await owner.send(key)).status_code == 401

    await until(is_gone, within_s=1)
    assert (await owner.ask("GET", f"/{made['id']}")).status_code == 404


async def test_a_suspended_client_has_no_tags(owner: Owner) -> None:
    made = await owner.create()
    assert (await owner.tag(made)).status_code == 200
    await owner.grove.http.post(f"{owner.client.path}/suspend", headers=owner.grove.platform)

    async def is_gone() -> bool:
        return (await owner.tag(made)).status_code == 404

    await until(is_gone, within_s=1)


async def test_a_schema_stays_while_adaptors_use_it_unless_they_go_too(owner: Owner) -> None:
    schema_id = await owner.schema()
    made = await owner.create(schema_id=schema_id)
    http, headers = owner.grove.http, owner.client.admin | {"Prefer": "wait=30"}
    refused = await http.delete(f"/api/schemas/{schema_id}", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert "“site”" in refused.json()["detail"]
    assert (await http.delete(f"/api/schemas/{schema_id}?cascade", headers=headers)).status_code == 200
    assert (await owner.ask("GET", f"/{made['id']}")).status_code == 404


async def test_the_check_tells_what_came_and_what_was_refused(owner: Owner) -> None:
    made = await owner.create()
    nothing = (await owner.ask("GET", f"/{made['id']}/check", "server")).json()
    assert (nothing["sending"], nothing["since"], nothing["received"]) == (False, None, 0)
    key = (await owner.settings(made))["apiKey"]
    await owner.send(key)
    await owner.send(key, session_id=7)
    told = (await owner.ask("GET", f"/{made['id']}/check", "server")).json()
    assert (told["sending"], told["received"], told["outcomes"]) == (True, 2, {"stored": 1, "quarantined": 1})
    assert [(each["name"], each["count"]) for each in told["events"]] == [("page_view", 1)]
    assert [(each["code"], each["pointer"]) for each in told["refused"]] == [("wrong_type", "/session_id")]
    assert told["since"] <= told["last_received_at"]


async def test_the_check_tells_of_other_origins_than_its_own(owner: Owner) -> None:
    made, other = [await owner.create(name=name) for name in ("one", "two")]
    key = (await owner.settings(made))["apiKey"]

    async def others(adaptor: dict[str, Any]) -> Any:
        return (await owner.ask("GET", f"/{adaptor['id']}/check", "server")).json()["other_origins"]

    assert (await owner.send(key)).status_code == 202
    assert await others(made) is None
    for origin in ("https://cedar.example", None, "https://x.example/\x7f", "https://" + "x" * 200):
        assert (await owner.send(key, origin)).status_code == 403
    told = await others(made)
    assert (told["count"], told["last_origin"]) == (4, None)
    preflight = await owner.grove.http.options(f"{EVENTS}?key={key}", headers={"Origin": "https://cedar.example"})
    assert preflight.status_code == 403
    told = await others(made)
    assert (told["count"], told["last_origin"]) == (5, "https://cedar.example")
    assert await others(other) is None


async def test_refused_origins_are_shared_by_redis_for_a_day_and_noted_within_bounds(valkey: EmbeddedValkey) -> None:
    clock, one, other = SetClock(), uuid.uuid4(), uuid.uuid4()
    async with Redis.from_url(valkey.url) as redis:
        first, second = OriginLog(redis, clock), OriginLog(redis, clock)
        first.note(one, b"https://a.example")
        await first.save()
        second.note(one, b"https://b.example")
        second.note(other, b"https://c.example")
        told = await second.find([one])
        assert told is not None
        assert (told.count, told.last_origin) == (2, "https://b.example")
        assert await first.find([one]) == told
        assert all([0 < await redis.ttl(name) <= 25 * 3600 for name in await redis.keys("grove:other-origins:*")])
        clock.set(utc_now() + timedelta(hours=25))
        assert await first.find([one]) is None
    alone = OriginLog(None, clock)
    for _ in range(MAX_NOTED + 1):
        alone.note(uuid.uuid4(), None)
    alone.note(one, b"null")
    assert len(alone._noted) == MAX_NOTED  # noqa: SLF001 - what it must not exceed, nobody else sees
    told = await alone.find([one, other])
    assert told is not None
    assert (told.count, told.last_origin) == (1, "null")


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"website_url": "ftp://x.example"}, "/website_url"),
        ({"website_url": "https://u:p@x.example"}, "/website_url"),
        ({"website_url": "https://x.example:99999"}, "/website_url"),
        ({"website_url": "http://grove.test/"}, "/website_url"),
        ({"origins": ["https://x.example/"]}, "/origins/0"),
        ({"schema_id": str(uuid.uuid4())}, "/schema_id"),
        ({"privacy": "loose"}, "/privacy"),
        ({"script": "x" * 65_537}, "/script"),
        ({"tracking_rules": {"track_everything": True}}, "/tracking_rules/track_everything"),
        ({"tracking_rules": {"selectors": [CARD | {"selector": "a}b{"}]}}, "/tracking_rules/selectors/0/selector"),
        ({"tracking_rules": {"selectors": [CARD | {"on": "on click"}]}}, "/tracking_rules/selectors/0/on"),
    ],
)
async def test_an_adaptor_that_cannot_be_is_refused_with_a_pointer(
    grove: Grove, wanted: dict[str, Any], pointer: str
) -> None:
    if not hasattr(grove, "refused_owner"):
        grove.refused_owner = Owner(grove, await grove.make_client("refused"))  # type: ignore[attr-defined]
    owner: Owner = grove.refused_owner  # type: ignore[attr-defined]
    answer = await owner.ask("POST", json=WANTED | wanted)
    assert answer.status_code == 400, answer.text
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}


async def test_another_clients_schema_is_none(owner: Owner, grove: Grove) -> None:
    other = Owner(grove, await grove.make_client(f"other-{uuid.uuid4().hex[:8]}"))
    answer = await owner.ask("POST", json=WANTED | {"schema_id": await other.schema()})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/schema_id")


async def test_adaptors_are_listed_in_pages_and_made_once_for_an_idempotency_key(owner: Owner) -> None:
    first, again = [await owner.ask("POST", json=WANTED, headers={"Idempotency-Key": "site-1"}) for _ in range(2)]
    assert first.json() == again.json()
    await owner.create(name="two")
    page = (await owner.ask("GET", "?limit=1", "server")).json()
    rest = (await owner.ask("GET", f"?limit=1&cursor={page['meta']['next']}", "server")).json()
    assert [each["name"] for each in page["data"] + rest["data"]] == ["site", "two"]


async def test_a_removed_client_leaves_no_adaptor(owner: Owner) -> None:
    await owner.create(schema_id=await owner.schema())
    headers = owner.grove.platform | {"Prefer": "wait=30"}
    removed = await owner.grove.http.delete(owner.client.path, headers=headers)
    assert (removed.status_code, removed.json()["kind"]) == (200, "client.remove"), removed.text
    query = "SELECT FROM grove.adaptors WHERE client_id = $1"
    assert await fetch(owner.grove.settings.main_url, query, owner.client.id) == []
