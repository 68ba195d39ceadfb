"""`/api/events/ingest` says the same as `/api/v1/events` in other words, and `/api/events/stats` counts what came."""

import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.clock import utc_now
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in

PATH = "/api/events/ingest"
SHOP = {"name": "shop", "properties": {"purchase": {"total": "number"}}}


class Sender:
    """A client that sends events of its schema."""

    def __init__(self, grove: Grove, client: MadeClient, schema_id: str) -> None:
        self.grove = grove
        self.client = client
        self.schema_id = schema_id

    async def send(self, body: Any, path: str = PATH, **headers: str) -> dict[str, Any]:
        """Send a body."""
        answer = await self.grove.http.post(path, json=body, headers=self.client.server | headers)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def stats(self, query: str = "") -> dict[str, Any]:
        """Ask for the figures."""
        answer = await self.grove.http.get(f"/api/events/stats{query}", headers=self.client.server)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture
async def sender(grove: Grove) -> Sender:
    """A client of its own for each test."""
    client = await grove.make_client(f"send-{uuid.uuid4().hex[:12]}")
    made = await grove.http.post("/api/schemas", json=SHOP, headers=client.admin | {"Prefer": "wait=30"})
    return Sender(grove, client, made.json()["id"])


async def test_an_event_is_stored_as_the_one_that_it_is_in_our_words(sender: Sender) -> None:
    at = utc_now().replace(microsecond=0)
    event = {
        "event_id": "order-1", "schema_id": sender.schema_id, "event_type": "purchase", "properties": {"total": 7},
        "user_id": "u-1", "session_id": "s-1", "timestamp": at.isoformat(),
    }  # fmt: skip
    assert (await sender.send(event))["accepted"] == 1
    ours = {
        "event_id": "order-1", "schema": "shop", "name": "purchase", "properties": {"total": 7}, "user_id": "u-1",
        "session_id": "s-1", "occurred_at": at.isoformat(),
    }  # fmt: skip
    assert (await sender.send(ours, "/api/v1/events"))["duplicates"] == 1
    schema = (await sender.grove.placement_of(sender.client.id)).schema
    (row,) = await fetch_in(sender.grove.settings.main_url, schema, "SELECT * FROM {schema}.events")
    assert (row["name"], row["schema_name"], row["schema_version"]) == ("purchase", "shop", 1)
    assert (row["user_id"], row["session_id"], row["occurred_at"]) == ("u-1", "s-1", at)


async def test_a_purchase_with_money_among_its_properties_is_paid_and_held_to_its_schema_as_sent(grove: Grove) -> None:
    sender = await shared_sender(grove)
    properties = {"order_id": "o-1", "total": 12.5, "currency": "EUR"}
    event = {"event_id": "o-1", "schema_id": "shop", "event_type": "purchase", "properties": properties}
    ours = {"event_id": "o-1", "schema": "shop", "name": "purchase", "properties": properties}
    assert (await sender.send(event))["accepted"] == 1
    for path, repeat in ((PATH, event), ("/api/v1/events", ours)):
        answer = await sender.send(repeat, path)
        assert (answer["duplicates"], answer["conflicts"]) == (1, [])
    schema = (await grove.placement_of(sender.client.id)).schema
    (order,) = await fetch_in(grove.settings.main_url, schema, "SELECT * FROM {schema}.orders WHERE order_id = 'o-1'")
    assert (order["paid"], order["currency"]) == (Decimal("12.5"), "EUR")
    (refused,) = (await sender.send(event | {"properties": {"total": "12.5"}}))["rejected"]
    assert (refused["code"], refused["pointer"]) == ("wrong_type", "/properties/total")


@pytest.mark.parametrize("path", [PATH, f"{PATH}/", "/api/events//ingest"])
@pytest.mark.parametrize("schema_id", ["shop", "shop@1", None])
async def test_the_schema_may_be_named_and_the_path_have_any_slashes(
    grove: Grove, path: str, schema_id: str | None
) -> None:
    sender = await shared_sender(grove)
    answer = await sender.send({"event_type": "purchase", "schema_id": schema_id}, path)
    assert (answer["accepted"], answer["rejected"]) == (1, [])


async def shared_sender(grove: Grove) -> Sender:
    """Return one sender for tests that leave nothing behind that matters."""
    if not hasattr(grove, "shared_sender"):
        client = await grove.make_client("shared-sender")
        made = await grove.http.post("/api/schemas", json=SHOP, headers=client.admin | {"Prefer": "wait=30"})
        grove.shared_sender = Sender(grove, client, made.json()["id"])  # type: ignore[attr-defined]
    shared: Sender = grove.shared_sender  # type: ignore[attr-defined]
    return shared


@pytest.mark.parametrize(
    ("event", "code", "pointer"),
    [
        ({}, "required", "/event_type"),
        ({"event_type": 7}, "wrong_type", "/event_type"),
        ({"event_type": "purchase", "timestamp": "today"}, "invalid_time", "/timestamp"),
        ({"event_type": "purchase", "schema_id": str(uuid.UUID(int=3))}, "unknown_schema", "/schema_id"),
        ({"event_type": "purchase", "schema_id": 7}, "wrong_type", "/schema_id"),
        ({"event_type": "refund", "schema_id": "shop"}, "unknown_event_type", "/event_type"),
        (
            {"event_type": "purchase", "schema_id": "shop", "properties": {"total": "a"}},
            "wrong_type",
            "/properties/total",
        ),
        ({"event_type": "purchase", "colour": "red"}, "unknown_field", "/colour"),
        ([1], "not_an_object", ""),
    ],
)
async def test_a_refusal_speaks_the_words_of_the_path(grove: Grove, event: Any, code: str, pointer: str) -> None:
    answer = await (await shared_sender(grove)).send(event)
    (refused,) = answer["rejected"]
    assert (refused["code"], refused["pointer"]) == (code, pointer)


async def test_what_would_be_refused_is_told_in_the_words_of_the_path(grove: Grove) -> None:
    sender = await shared_sender(grove)
    answer = await grove.http.post(f"{PATH}?debug=1", json=[{}, {"event_type": "a"}], headers=sender.client.server)
    assert answer.status_code == 200
    assert [each["pointer"] for each in answer.json()["events"]] == ["/event_type", None]


async def test_a_bad_event_costs_none_of_its_neighbours(sender: Sender) -> None:
    answer = await sender.send([{"event_type": "purchase"}, {"event_type": 7}, {"event_type": "visit"}])
    assert (answer["accepted"], [each["index"] for each in answer["rejected"]]) == (2, [1])


async def test_the_figures_count_what_came(sender: Sender) -> None:
    empty = await sender.stats()
    assert (empty["received"], empty["totals"], empty["by_type"], empty["last_event"]) == (0, {}, {}, None)
    await sender.send([{"event_type": "purchase", "schema_id": "shop"}] * 2 + [{"event_type": "visit"}, {}])
    await sender.send({"event_id": "last", "event_type": "visit"})
    await sender.send({"event_id": "last", "event_type": "visit"})
    told = await sender.stats()
    assert told["received"] == 6
    assert told["totals"] == {"stored": 4, "quarantined": 1, "duplicate": 1}
    assert told["by_type"] == {"purchase": 2, "visit": 2}
    assert told["by_schema"] == {"shop": 2}
    assert told["refused"] == {"required": 1}
    assert told["last_hour"] == 4
    assert told["last_event"]["name"] == "visit"
    assert datetime.fromisoformat(told["from"]) < datetime.fromisoformat(told["to"])
    earlier = await sender.stats("?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z")
    assert (earlier["received"], earlier["by_type"], earlier["refused"]) == (6, {}, {})
    days = await sender.stats("?from=2026-01-01&to=2026-01-02")
    assert (days["from"], days["to"]) == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")


async def test_a_browser_may_send_but_not_see_the_figures(sender: Sender) -> None:
    sent = await sender.grove.http.post(PATH, json={"event_type": "visit"}, headers=sender.client.browser)
    assert sent.status_code == 202
    seen = await sender.grove.http.get("/api/events/stats", headers=sender.client.browser)
    assert seen.status_code == 403
