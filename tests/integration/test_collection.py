"""Events over HTTP: one outcome each, whatever comes with them."""

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.body import MAX_BODY_BYTES
from tenants.keys import hash_key
from tests.support.grove import MadeClient
from tests.support.shop import ClientShop, open_shop

PATH = "/api/v1/events"


class Shop(ClientShop):
    """An application with one client, and a look into that client's tables."""

    async def send(self, body: Any, **headers: str) -> httpx.Response:
        """Send a body with the server's key."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(PATH, content=content, headers=self.client.server | headers)

    async def fate(self, event_id: str) -> dict[str, Any]:
        """Ask what became of an event."""
        answer = await self.http.get(f"{PATH}/{quote(event_id, safe='')}", headers=self.client.server)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def make_key(self, **wanted: Any) -> str:
        """Make a further key."""
        made = await self.http.post(f"{self.client.path}/keys", json={"name": "k"} | wanted, headers=self.client.admin)
        assert made.status_code == 201, made.text
        return str(made.json()["key"])


@pytest.fixture(scope="module")
async def shop(postgres: EmbeddedPostgres) -> AsyncIterator[Shop]:
    async with open_shop(Shop, postgres.url) as shop:
        yield shop


def event(**fields: Any) -> dict[str, Any]:
    return {"name": "page_view", "event_id": str(uuid.uuid4()), **fields}


async def test_an_accepted_event_is_committed_when_the_answer_comes(shop: Shop) -> None:
    sent = event(session_id="s1", context={"device": "tablet", "country": "NP"}, properties={"a": [1, "ü"]})
    answer = await shop.send(sent)
    assert (answer.status_code, answer.json()) == (
        202,
        {"accepted": 1, "duplicates": 0, "filtered": 0, "conflicts": [], "rejected": []},
    )
    rows = await shop.rows("SELECT * FROM {schema}.events WHERE event_id = $1", uuid.UUID(sent["event_id"]))
    assert [(row["device"], row["country"], json.loads(row["properties"])) for row in rows] == [
        ("tablet", "NP", {"a": [1, "ü"]})
    ]


async def test_a_bad_event_is_quarantined_whole_and_its_neighbours_are_stored(shop: Shop) -> None:
    good = [event() for _ in range(3)]
    bad = [event(properties={"n": 2**63}), event(occurred_at="1970-01-01T00:00:00Z"), event(name="\0"), {"nam": "x"}]
    answer = (await shop.send([bad[0], good[0], bad[1], good[1], bad[2], bad[3], good[2]])).json()
    assert answer["accepted"] == 3
    assert [(item["index"], item["event_id"], item["code"], item["pointer"]) for item in answer["rejected"]] == [
        (0, bad[0]["event_id"], "number_out_of_range", "/properties/n"),
        (2, bad[1]["event_id"], "too_old", "/occurred_at"),
        (4, bad[2]["event_id"], "nul_byte", "/name"),
        (5, None, "unknown_field", "/nam"),
    ]
    rows = await shop.rows("SELECT code, body FROM {schema}.quarantine WHERE event_id = $1", str(bad[0]["event_id"]))
    assert [(row["code"], json.loads(row["body"])) for row in rows] == [("number_out_of_range", bad[0])]
    stored = await shop.rows(
        "SELECT event_id FROM {schema}.events WHERE event_id = ANY($1)", [uuid.UUID(e["event_id"]) for e in good]
    )
    assert len(stored) == 3


async def test_the_same_id_is_stored_once_and_another_body_is_reported(shop: Shop) -> None:
    first = event()
    other = first | {"name": "click"}
    assert (await shop.send([first, first])).json()["duplicates"] == 1
    again = (await shop.send([first, other, event()])).json()
    assert (again["accepted"], again["duplicates"]) == (1, 2)
    assert again["conflicts"] == [{"index": 1, "event_id": first["event_id"]}]
    rows = await shop.rows("SELECT name FROM {schema}.events WHERE event_id = $1", uuid.UUID(first["event_id"]))
    assert [row["name"] for row in rows] == ["page_view"]


async def test_an_idempotency_key_makes_a_request_without_ids_repeatable(shop: Shop) -> None:
    body = [{"name": "page_view"}, {"name": "click"}]
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    assert (await shop.send(body, **headers)).json()["accepted"] == 2
    assert (await shop.send(body, **headers)).json()["duplicates"] == 2


async def test_the_counts_add_up_to_what_was_received(shop: Shop) -> None:
    key = await shop.make_key(kind="server")
    key_id = str((await shop.rows("SELECT id FROM grove.api_keys WHERE hash = $1", hash_key(key)))[0][0])
    first = event()
    for body in ([first, event(), {"name": 1}], first, [first, {"name": "page_loaded"}]):
        await shop.send(body, Authorization=f"Bearer {key}")
    usage = (await shop.http.get(f"{shop.client.path}/usage", headers=shop.client.admin)).json()
    rows = await shop.rows(
        "SELECT outcome, reason, sum(n)::int FROM {schema}.outcome_counts WHERE key_id = $1 GROUP BY 1, 2",
        uuid.UUID(key_id),
    )
    counts = {(row[0], row[1]): row[2] for row in rows}
    assert counts == {
        ("stored", ""): 2,
        ("duplicate", ""): 2,
        ("quarantined", "wrong_type"): 1,
        ("quarantined", "session_required"): 1,
    }
    mine = [hour for hour in usage["data"] if hour["key_id"] == key_id]
    assert sum(hour["received"] for hour in mine) == 6
    assert {(each["outcome"], each["reason"]): each["count"] for hour in mine for each in hour["outcomes"]} == counts


async def test_gzip_is_taken_and_a_bomb_is_not(shop: Shop) -> None:
    packed = gzip.compress(json.dumps([event(), event()]).encode())
    assert (await shop.send(packed, **{"Content-Encoding": "gzip"})).json()["accepted"] == 2
    two_members = gzip.compress(b"[" + json.dumps(event()).encode()) + gzip.compress(b"]")
    assert (await shop.send(two_members, **{"Content-Encoding": "gzip"})).json()["accepted"] == 1
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES + 1))
    refused = await shop.send(bomb, **{"Content-Encoding": "gzip"})
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    several = gzip.compress(b" " * 1_000_000) * (MAX_BODY_BYTES // 1_000_000 + 1)
    assert (await shop.send(several, **{"Content-Encoding": "gzip"})).status_code == 413
    for broken in (packed[:-5], b"not gzip", gzip.compress(b"") * 200_000):
        refused = await shop.send(broken, **{"Content-Encoding": "gzip"})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_gzip")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "invalid_json"),
        (b"[]", {}, 400, "event_count"),
        (b"[" + b",".join([b'{"name":"x"}'] * 1001) + b"]", {}, 400, "event_count"),
        (b" " * (MAX_BODY_BYTES + 1), {}, 413, "body_too_large"),
        (b"{}", {"Content-Type": "application/xml"}, 415, "unsupported_body"),
        (b"{}", {"Content-Encoding": "br"}, 415, "unsupported_body"),
        (b'{"name":"x"}', {"Idempotency-Key": "k" * 256}, 400, "invalid_input"),
        (b"{}", {"Authorization": "Bearer grv_s_00000000000000000000000000000000_000000"}, 401, "unauthenticated"),
        (b"{}", {"Authorization": "Bearer nonsense"}, 401, "unauthenticated"),
    ],
)
async def test_a_request_that_cannot_be_taken_is_a_problem(
    shop: Shop, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await shop.send(body, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_other_methods_are_refused_with_what_is_allowed(shop: Shop) -> None:
    answer = await shop.http.get(PATH, headers=shop.client.server)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


async def test_text_that_holds_json_is_taken_for_beacons(shop: Shop) -> None:
    key = await shop.make_key(kind="browser", origins=["https://shop.example"])
    body = json.dumps(event(api_key=key))
    headers = {"Content-Type": "text/plain;charset=UTF-8", "Origin": "https://shop.example"}
    answer = await shop.http.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    by_query = await shop.http.post(f"{PATH}?key={key}", content=json.dumps(event()), headers=headers)
    assert by_query.status_code == 202


async def test_a_browser_key_works_from_its_origins_only_and_other_pages_read_no_more_than_that(shop: Shop) -> None:
    key, sent = await shop.make_key(kind="browser", origins=["https://shop.example"]), event()
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "https://shop.example.evil"}):
        answer = await shop.http.post(PATH, json=sent, headers={"X-API-Key": key} | origin)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        preflight = await shop.http.options(f"{PATH}?key={key}", headers=origin)
        assert "access-control-allow-origin" not in preflight.headers
    assert (await shop.fate(sent["event_id"]))["fate"] == "unknown"


async def test_an_allowed_origin_may_read_what_is_wrong(shop: Shop) -> None:
    key = await shop.make_key(kind="browser", origins=["https://shop.example"])
    headers = {"X-API-Key": key, "Origin": "https://shop.example"}
    answer = await shop.http.post(PATH, content=b"{", headers=headers)
    assert answer.status_code == 400
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "retry-after" in answer.headers["access-control-expose-headers"]


async def test_a_key_in_a_refused_event_is_not_kept(shop: Shop) -> None:
    key = await shop.make_key(kind="browser")
    sent = event(api_key=key, name=7)
    answer = await shop.http.post(PATH, content=json.dumps(sent))
    assert answer.json()["rejected"][0]["code"] == "wrong_type"
    rows = await shop.rows("SELECT body FROM {schema}.quarantine WHERE event_id = $1", sent["event_id"])
    assert [json.loads(row["body"]) for row in rows] == [sent | {"api_key": "grv_redacted"}]


async def test_a_browser_key_cannot_read(shop: Shop) -> None:
    answer = await shop.http.get("/api/maple/funnel", headers=shop.client.browser)
    assert answer.status_code == 403


async def test_a_preflight_is_answered_without_a_key(shop: Shop) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = await shop.http.options(PATH, headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_platform_key_sends_no_events(shop: Shop) -> None:
    answer = await shop.http.post(PATH, json=event(), headers=shop.platform)
    assert answer.status_code == 403


async def test_a_suspended_client_sends_and_reads_nothing_until_it_is_resumed(shop: Shop) -> None:
    willow = await shop.make_client("willow")
    await shop.http.post(f"{willow.path}/suspend", headers=shop.platform | {"Prefer": "wait=20"})
    await wait_for_status(shop, willow, 403)
    read = await shop.http.get("/api/willow/funnel", headers=willow.server)
    assert (read.status_code, read.json()["code"]) == (403, "client_suspended")
    await shop.http.post(f"{willow.path}/resume", headers=shop.platform | {"Prefer": "wait=20"})
    await wait_for_status(shop, willow, 202)


async def wait_for_status(shop: Shop, client: MadeClient, status: int) -> None:
    """Send until the answer has this status; a change reaches every process within a second."""
    async with asyncio.timeout(3):
        while (await shop.http.post(PATH, json=event(), headers=client.server)).status_code != status:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_repeat_among_new_events_is_found_whether_or_not_one_was_expected(shop: Shop) -> None:
    known = event()
    await shop.send(known)
    for _ in range(2):
        answer = (await shop.send([event(), known, event(), known | {"name": "other"}])).json()
        assert (answer["accepted"], answer["duplicates"]) == (2, 2)
        assert [conflict["index"] for conflict in answer["conflicts"]] == [3]
    ids = await shop.rows("SELECT count(*) FROM {schema}.event_ids WHERE id = $1", uuid.UUID(known["event_id"]))
    assert ids[0][0] == 1
    fate = (await shop.http.get(f"{PATH}/{known['event_id']}", headers=shop.client.server)).json()
    assert (fate["fate"], fate["stored"]["repeats"], fate["stored"]["conflicts"]) == ("stored", 4, 2)


@pytest.mark.fault(21)
async def test_many_senders_of_the_same_new_ids_store_each_once(shop: Shop) -> None:
    events = [event() for _ in range(40)]
    async with shop.twin() as other:
        sent = [
            asyncio.ensure_future(
                each.http.post(PATH, json=events[start:] + events[:start], headers=shop.client.server)
            )
            for start in range(0, 40, 5)
            for each in (shop, other)
        ]
        answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {202}
    assert sum(answer.json()["accepted"] for answer in answers) == 40
    rows = await shop.rows(
        "SELECT event_id FROM {schema}.events WHERE event_id = ANY ($1)", [uuid.UUID(e["event_id"]) for e in events]
    )
    assert len(rows) == 40


@pytest.mark.parametrize(
    "event_id",
    ["order/7?x=1#y", "ü b", "a" * 128, "%2F", "...", "a//b", "a\nb", "\u00a0nb", "\x7f", " ", str(uuid.UUID(int=7))],
)
async def test_the_fate_of_an_event_is_told_for_any_id(shop: Shop, event_id: str) -> None:
    assert (await shop.fate(event_id))["fate"] == "unknown"
    await shop.send(event(event_id=event_id))
    found = await shop.fate(event_id)
    assert (found["event_id"], found["fate"]) == (event_id, "stored")
    by_uuid = await shop.fate(found["event_uuid"])
    assert by_uuid["stored"] == found["stored"]
    refused = await shop.http.get(f"{PATH}/{quote(event_id, safe='')}", headers=shop.client.browser)
    assert refused.status_code == 403


@pytest.mark.parametrize("escaped", ["a%00b", "%FF", "%ED%A0%80", "a" * 129])
async def test_what_can_be_no_id_is_refused(shop: Shop, escaped: str) -> None:
    answer = await shop.http.get(f"{PATH}/{escaped}", headers=shop.client.server)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_event_id")


async def test_a_dry_run_tells_each_outcome_and_stores_nothing(shop: Shop) -> None:
    known = event()
    await shop.http.post(PATH, json=known, headers=shop.client.server)
    new = event(name="dry")
    batch = [new, known, known | {"name": "other"}, {"name": 7, "event_id": "bad"}, new]
    answer = await shop.http.post(f"{PATH}?debug=1", json=batch, headers=shop.client.server)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["accepted"], told["duplicates"], told["filtered"]) == (1, 3, 0)
    assert [(each["outcome"], each["conflict"], each["code"]) for each in told["events"]] == [
        ("stored", False, None),
        ("duplicate", False, None),
        ("duplicate", True, None),
        ("quarantined", False, "wrong_type"),
        ("duplicate", False, None),
    ]
    assert (await shop.fate(new["event_id"]))["fate"] == "unknown"
    assert (await shop.fate("bad"))["fate"] == "unknown"
    assert await shop.rows("SELECT FROM {schema}.events WHERE name = 'dry'") == []


@pytest.mark.parametrize("path", [PATH, "/api/events/ingest", "/v1/track"])
@pytest.mark.parametrize("query", ["debug=true", "debug", "debug=yes", "debug=1&debug=0"])
async def test_a_dry_run_that_is_not_clear_is_refused_and_stores_nothing(shop: Shop, path: str, query: str) -> None:
    body = {"type": "track", "event": "dry2", "event_type": "dry2", "name": "dry2", "userId": "u"}
    answer = await shop.http.post(f"{path}?{query}", json=body, headers=shop.client.server)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "debug")
    assert await shop.rows("SELECT FROM {schema}.events WHERE name = 'dry2'") == []
