"""Whoever sends to Grove as to another service before: each path ends in the same rows and facts."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.dialects.core import COLLECT_PATH
from app.ingest.dialects.segment import BATCH_PATH, IDENTIFY_PATH, PAGE_PATH, TRACK_PATH
from app.ingest.dialects.spoken import DIALECTS
from app.ingest.dialects.tracking import TRACK_BATCH_PATH, TRACK_EVENT_PATH
from app.ingest.retelling import retell
from app.ingest.routes import EVENTS_PATH
from app.rollups.prune import prune_rollups
from migrations.engines import administrator_engine
from tenants.clock import utc_now
from tenants.databases import Databases
from tenants.placement import Purpose
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in
from tests.support.oddities import JSON, RAW, TEXT, VALID, Event, dump, mutated

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E1 Safari/604.1"
)
# A failure may take seconds; to look for a smaller one would take minutes.
FEW = settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# The other paths of Segment's take what `/v1/batch` takes.
PATHS = list(VALID)
AS_JSON = {"Content-Type": "application/json"}


class Shop:
    """A client, with what was stored of it."""

    def __init__(self, grove: Grove, client: MadeClient, schema: str) -> None:
        self.grove = grove
        self.client = client
        self.schema = schema
        self.told: Counter[str] = Counter()

    async def send(self, path: str, body: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Send a body with a server's key."""
        answer = await self.grove.http.post(path, json=body, headers=headers or self.client.server)
        assert answer.status_code in {200, 202}, answer.text
        assert answer.json()["rejected"] == []
        return dict(answer.json())

    async def rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Ask the client's tables."""
        return await fetch_in(self.grove.settings.main_url, self.schema, sql, *args)

    async def order(self, order_id: str) -> dict[str, Any]:
        """Read the one row of an order."""
        (row,) = await self.rows("SELECT * FROM {schema}.orders WHERE order_id = $1", order_id)
        return {name: value for name, value in row.items() if value is not None}


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


async def open_shop(grove: Grove, name: str) -> Shop:
    """Make a client."""
    client = await grove.make_client(name)
    return Shop(grove, client, (await grove.placement_of(name)).schema)


@pytest.fixture(scope="module")
async def shop(grove: Grove) -> Shop:
    """A client whose orders have numbers of their own in each test."""
    return await open_shop(grove, "paths-shop")


async def test_a_services_order_is_told_step_by_step(shop: Shop) -> None:
    order: Event = {"category": "order", "order_id": 1007, "user_id": 88, "order_total": "49.90", "currency": "eur"}
    items = [{"product_id": "p-3", "quantity": 2, "price": "24.95"}]
    steps = ("created", "payment_started", "payment_completed", "shipped")
    events = [order | {"event_type": step, "payment_method": "card", "data": {"items": items}} for step in steps]
    await shop.send(f"{COLLECT_PATH}/", events)
    told = await shop.order("1007")
    assert (told["state"], told["user_id"], told["payment_method"]) == ("shipped", "88", "card")
    assert (told["currency"], told["placed"], told["paid"], told["net"]) == ("EUR", *[Decimal("49.9")] * 3)
    (item,) = await shop.rows("SELECT * FROM {schema}.order_items WHERE order_id = '1007'")
    assert (item["product_id"], item["quantity"], item["amount"]) == ("p-3", 2, Decimal("49.9"))
    stored = await shop.rows("SELECT name FROM {schema}.events WHERE properties ->> 'order_id' = '1007' ORDER BY 1")
    assert [row["name"] for row in stored] == ["order_created", "order_shipped", "payment_started", "purchase"]


async def test_the_script_of_before_sends_views_and_an_order(shop: Shop) -> None:
    page = {
        "session_id": "s-tracked", "visitor_id": "v-1", "url": "https://a.example/x", "user_agent": PHONE,
        "timestamp": int(utc_now().timestamp() * 1000),
    }  # fmt: skip
    bought = {"funnel_step": "purchase", "order_id": "t-1", "order_value": 10, "order_currency": "USD"}
    events = [page | {"event_type": "pageview"}, page | {"event_type": "ecommerce", "properties": bought}]
    answer = await shop.send(TRACK_BATCH_PATH, {"events": events}, shop.client.browser | {"User-Agent": FIREFOX})
    assert answer["accepted"] == 2
    await shop.send(TRACK_EVENT_PATH, page | {"event_type": "search", "properties": {"query": "oak"}})
    (session,) = await shop.rows("SELECT * FROM {schema}.sessions WHERE session_id = 's-tracked'")
    assert (session["events"], session["page_views"]) == (3, 1)
    devices = await shop.rows("SELECT name, device FROM {schema}.events WHERE session_id = 's-tracked' ORDER BY name")
    # What a browser says of itself in an event counts for nothing; a server's word for a visitor does.
    assert [tuple(row) for row in devices] == [("page_view", "desktop"), ("purchase", "desktop"), ("search", "mobile")]
    assert (await shop.order("t-1"))["state"] == "paid"
    (fact,) = await shop.rows("SELECT kind, term FROM {schema}.commerce_facts WHERE term IS NOT NULL")
    assert tuple(fact) == ("search", "oak")


async def test_segments_libraries_send_with_a_key_as_their_write_key(shop: Shop) -> None:
    write_key = shop.client.server["Authorization"].removeprefix("Bearer ")
    track = {
        "type": "track", "event": "Order Completed", "messageId": "seg-1", "userId": "u-9",
        "timestamp": (utc_now() - timedelta(hours=5)).isoformat(),
        "properties": {"order_id": "seg-9", "total": 30, "currency": "EUR", "products": [{"sku": "z"}]},
    }  # fmt: skip
    body = {"batch": [track, {"type": "identify", "userId": "u-9", "anonymousId": "a-9"}], "sentAt": utc_now()}
    body["sentAt"] = (utc_now() - timedelta(hours=5)).isoformat()
    for outcome in ("accepted", "duplicates"):
        answer = await shop.grove.http.post(BATCH_PATH, json=body, auth=(write_key, ""))
        assert (answer.status_code, answer.json()["conflicts"]) == (200, [])
        assert answer.json()[outcome] >= 1
    (row,) = await shop.rows("SELECT * FROM {schema}.events WHERE user_id = 'u-9' AND name = 'purchase'")
    assert abs(row["occurred_at"] - utc_now()) < timedelta(minutes=1)
    assert (await shop.order("seg-9"))["paid"] == 30
    assert await shop.rows("SELECT FROM {schema}.person_visitors WHERE visitor_id = 'a-9' AND user_id = 'u-9'")
    for path, said in ((TRACK_PATH, {"event": "Song Played"}), (PAGE_PATH, {"name": "Home"}), (IDENTIFY_PATH, {})):
        await shop.send(path, said | {"userId": f"u{path}"})
    names = await shop.rows("SELECT name FROM {schema}.events WHERE user_id LIKE 'u/v1/%' ORDER BY name")
    assert [row["name"] for row in names] == ["Song Played", "identify", "page_view"]


async def test_a_key_that_travels_otherwise_is_held_to_what_it_may(shop: Shop) -> None:
    made = await shop.grove.http.post(
        f"{shop.client.path}/keys",
        json={"kind": "browser", "origins": ["https://a.example"]},
        headers=shop.client.admin,
    )
    key, server = made.json()["key"], shop.client.server["Authorization"].removeprefix("Bearer ")
    event = {"event": "x", "writeKey": key}

    admin = shop.client.admin["Authorization"].removeprefix("Bearer ")

    async def status(body: object, path: str = TRACK_PATH, **sent: Any) -> int:
        return (await shop.grove.http.post(path, json=body, **sent)).status_code

    assert await status(event, headers={"Origin": "https://a.example"}) == 200
    assert await status(event, headers={"Origin": "https://b.example"}) == 403
    assert await status({"event": "x"}, auth=(key, ""), headers={"Origin": "https://b.example"}) == 403
    assert await status({"event": "x", "writeKey": server}) == 200
    assert await status({"event": "x", "writeKey": admin}) == 401
    for path in (EVENTS_PATH, TRACK_EVENT_PATH, COLLECT_PATH):
        assert await status({"event": "x", "writeKey": server, "api_key": server}, path) == 401
    assert await status(event, headers={"Authorization": "Basic grv_"}) == 403
    preflight = await shop.grove.http.options(TRACK_PATH, headers={"Origin": "https://a.example"})
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "https://a.example")


ORDER: list[Event] = [
    {"name": "refund", "amount": 5, "properties": {"refund_id": "r-1"}},
    {"name": "refund", "amount": 2, "currency": "EUR"},
    {"name": "order_created", "amount": 50, "currency": "EUR", "properties": {"items": [{"product_id": "p"}]}},
    {"name": "purchase", "amount": 49, "currency": "EUR", "properties": {"items": [{"product_id": "p", "price": 49}]}},
    {"name": "purchase", "currency": "EUR"},
    {"name": "order_shipped"},
    {"name": "refund", "amount": 3, "currency": "USD"},
]
_orders = iter(range(10**9))


@given(data=st.data())
@FEW
async def test_an_order_is_the_same_whatever_order_it_is_told_in_and_however_often(
    shop: Shop, data: st.DataObject
) -> None:
    order_id, now = f"mixed-{next(_orders)}", utc_now()
    told = [
        each | {
            "event_id": f"{order_id}-{place}", "occurred_at": (now - timedelta(minutes=60 - place)).isoformat(),
            "properties": {"order_id": order_id} | each.get("properties", {}),
        }
        for place, each in enumerate(ORDER)
    ]  # fmt: skip
    # The same again under ids of their own: a payment, and a refund that has a number.
    told += [told[0] | {"event_id": f"{order_id}-again"}, told[3] | {"event_id": f"{order_id}-as-well"}]
    mixed = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    cut = data.draw(st.integers(1, len(mixed) - 1))
    for part in (mixed[:cut], mixed[cut:]):
        await shop.send(EVENTS_PATH, part)
    rows = await shop.rows("SELECT * FROM {schema}.orders WHERE order_id = $1 ORDER BY currency", order_id)
    # Said in two currencies, an order has a row for each; a refund that says none is in that of the payment.
    assert [(row["currency"], row["paid"], row["refunded"], row["net"]) for row in rows] == [
        ("EUR", 49, 7, 42), ("USD", 0, 3, -3),
    ]  # fmt: skip
    assert (rows[0]["state"], rows[0]["placed"]) == ("partly_refunded", 50)
    (item,) = await shop.rows("SELECT * FROM {schema}.order_items WHERE order_id = $1", order_id)
    assert (item["price"], item["amount"]) == (49, 49)


async def test_a_refund_without_an_amount_is_of_all_and_a_cancelled_order_is_cancelled(shop: Shop) -> None:
    paid = {"name": "purchase", "amount": "19.99", "currency": "GBP", "properties": {"order_id": "whole"}}
    await shop.send(EVENTS_PATH, [{"name": "refund", "properties": {"order_id": "whole"}}, paid])
    told = await shop.order("whole")
    assert (told["state"], told["currency"], told["refunded"], told["net"]) == ("refunded", "GBP", Decimal("19.99"), 0)
    await shop.send(EVENTS_PATH, {"name": "order_cancelled", "properties": {"order_id": "whole"}})
    assert (await shop.order("whole"))["state"] == "cancelled"


async def test_orders_of_a_range_are_those_of_the_view_of_which_something_happened_in_it(grove: Grove) -> None:
    shop, now = await open_shop(grove, "paths-range"), utc_now()
    for order_id, hours in (
        ("whole", (9, 2)),
        ("before", (9, 8)),
        ("within", (2, 2)),
        ("after", (1, 0)),
        (None, (2, 9)),
    ):
        for name, ago in zip(("purchase", "refund"), hours, strict=True):
            properties = {"order_id": order_id, "items": [{"product_id": "p", "price": 3}]}
            at = (now - timedelta(hours=ago)).isoformat()
            event = {"name": name, "amount": 3, "currency": "EUR", "occurred_at": at, "properties": properties}
            await shop.send(EVENTS_PATH, event)
    placement, databases = await grove.placement_of("paths-range"), Databases(grove.settings)
    async with databases.unit(placement, Purpose.READ) as db:

        async def ask(sql: str, *args: object) -> list[Any]:
            return sorted(tuple(row) for row in await db.fetch(placement.render(sql), *args))

        since, until = now - timedelta(hours=3), now - timedelta(hours=1, minutes=30)
        for view in ("orders", "order_items"):
            asked = "SELECT o::text, order_id FROM "
            every = await ask(f"{asked}{{{{schema}}}}.{view} AS o")
            ranged = f"{asked}{{{{fn}}}}{view}_between($1, $2) AS o"
            found = await ask(ranged, since, until)
            # A refund lists no items; one without an order's number is an order of its own.
            expected = {"whole", "within", None} if view == "orders" else {"within", None}
            assert {order_id for _, order_id in found} == expected
            assert set(found) < set(every)
            assert [row for row in every if row[1] in expected - {None}] == [row for row in found if row[1] is not None]
            assert await ask(ranged, now - timedelta(days=1), now) == every
            assert await ask(ranged, until, since) == []
    await databases.close()


async def test_facts_are_told_anew_and_go_with_their_events(grove: Grove, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await open_shop(grove, "paths-facts")
    now = utc_now()
    for days in (40, 3, 0):
        at = (now - timedelta(days=days)).isoformat()
        sold = {"product_id": f"p-{days}", "price": 5}
        event = {"name": "purchase", "amount": 5, "occurred_at": at, "properties": {"items": [sold]}}
        await shop.send(EVENTS_PATH, [event] * (3 if days == 3 else 1))
    facts = "SELECT * FROM {schema}.commerce_facts ORDER BY occurred_at, event_id, line"
    before = await shop.rows(facts)
    assert len(before) == 10
    copied: list[str] = []
    placement = await grove.placement_of("paths-facts")
    databases = Databases(grove.settings, observe=lambda _placement, _purpose, sql, _args: copied.append(sql))
    monkeypatch.setattr("app.ingest.retelling.MOST_FACTS", 4)
    await shop.rows("DELETE FROM {schema}.commerce_facts WHERE line = 0")
    assert await retell(databases, placement, now=now) == 10
    # Of six facts of a day, four were written before the others were made.
    assert len([sql for sql in copied if sql.startswith("COPY")]) == 4
    await databases.close()
    assert await shop.rows(facts) == before
    engine = administrator_engine(grove.settings.main_url)
    async with engine.begin() as connection:
        await prune_rollups(connection, placement, now - timedelta(days=10))
    await engine.dispose()
    assert await shop.rows(facts) == before[2:]


@pytest.fixture(scope="module")
async def target(grove: Grove) -> Shop:
    """A client that only gets what nobody would send."""
    return await open_shop(grove, "paths-target")


@pytest.mark.parametrize("path", PATHS)
@given(data=st.data())
@FEW
async def test_whatever_is_among_them_costs_no_event_its_place(target: Shop, path: str, data: st.DataObject) -> None:
    make, ids = VALID[path], [str(uuid.uuid4()) for _ in range(2)]
    junk = data.draw(st.lists(mutated(make).map(dump) | JSON.map(dump) | RAW, min_size=1, max_size=4))
    good = [dump(make(event_id)) for event_id in ids]
    body = b"[" + b",".join([good[0], *junk, good[1]]) + b"]"
    envelope = None if path == EVENTS_PATH else DIALECTS[path].envelope
    if envelope is not None and data.draw(st.booleans()):
        around = data.draw(st.dictionaries(st.sampled_from(["sentAt", "context", "x"]) | TEXT, JSON, max_size=2))
        around.pop(envelope, None)
        members = [dump(name) + b":" + dump(value) for name, value in around.items()]
        body = b"{" + b",".join([*members, dump(envelope) + b":" + body]) + b"}"
    answer = await target.grove.http.post(path, content=body, headers=target.client.server | AS_JSON)
    assert answer.status_code in {200, 202}, answer.text
    told = answer.json()
    outcomes = {name: told[name] for name in ("accepted", "duplicates", "filtered")}
    assert sum(outcomes.values()) + len(told["rejected"]) == len(junk) + 2
    assert not {0, len(junk) + 1} & {each["index"] for each in told["rejected"]}
    stored = await target.rows("SELECT event_id::text FROM {schema}.events WHERE event_id::text = ANY($1)", ids)
    assert sorted(row["event_id"] for row in stored) == sorted(ids)
    target.told += Counter(
        stored=told["accepted"],
        duplicate=told["duplicates"],
        filtered=told["filtered"],
        quarantined=len(told["rejected"]),
    )
    counts = await target.rows("SELECT outcome, sum(n)::int AS n FROM {schema}.outcome_counts GROUP BY 1")
    assert {row["outcome"]: row["n"] for row in counts} == +target.told
    quarantined = await target.rows("SELECT count(*) FROM {schema}.quarantine")
    assert quarantined[0]["count"] == target.told["quarantined"]


@pytest.mark.parametrize("path", PATHS)
@given(body=JSON.map(dump) | RAW | st.binary(max_size=40))
@example(body=b"")
@FEW
async def test_no_body_breaks_a_path(shop: Shop, path: str, body: bytes) -> None:
    answer = await shop.grove.http.post(path, content=body, headers=shop.client.server | AS_JSON)
    assert answer.status_code in {200, 202, 400}, answer.text
