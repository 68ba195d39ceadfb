"""Webhook sources on a server: deliveries that are believed become events once, and nothing else does."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from app.embedded.postgres import EmbeddedPostgres
from provisioning.hooks.requests import TARGETS
from tests.support.clock import SetClock
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.hooks import (
    AT,
    changed,
    charge,
    checkout,
    conversation,
    encode,
    intent,
    message,
    order,
    places,
    refund,
    sign,
    stripe_event,
)
from tests.support.oddities import JSON, RAW, dump
from tests.support.provisioner import fetch
from tests.support.waiting import until

PATH = "/api/v1/sources"
CLOCK = SetClock()
MAPPING = {"fields": {"name": "/type", "properties.plan": "/plan"}}
# What each service sends first.
GOOD: dict[str, tuple[Any, dict[str, str]]] = {
    "stripe": (stripe_event("payment_intent.succeeded", intent()), {}),
    "shopify": (order(), {"X-Shopify-Topic": "orders/paid", "X-Shopify-Webhook-Id": "b54557e4"}),
    "chatwoot": (message(), {"X-Chatwoot-Delivery": "f3d1f0a2"}),
    "generic": ({"type": "upgrade", "plan": "team"}, {}),
}
KINDS = sorted(GOOD)


class Source:
    """A webhook source, and the service that delivers to it."""

    def __init__(self, grove: Grove, client: MadeClient, made: dict[str, Any], secret: str) -> None:
        self.grove = grove
        self.client = client
        self.kind = made["kind"]
        self.id = made["id"]
        self.path = f"{PATH}/{made['id']}"
        self.secret = secret

    async def deliver(self, payload: Any = None, *, topic: str | None = None, **how: Any) -> httpx.Response:
        """Deliver a payload, or the first that such a service sends, signed as it signs."""
        first, headers = GOOD[self.kind]
        body = how.get("body") or encode(first if payload is None else payload)
        headers = headers | sign(
            self.kind,
            how.get("secret", self.secret),
            body,
            how.get("at", CLOCK()),
            message_id=how.get("message_id", "msg_1"),
        )
        headers |= ({} if topic is None else {"X-Shopify-Topic": topic}) | how.get("headers", {})
        grove: Grove = how.get("grove", self.grove)
        address = f"/hooks/{self.id}{how.get('query', '')}"
        headers = {"Content-Type": "application/json; charset=utf-8"} | headers
        return await grove.http.post(address, content=how.get("sent", body), headers=headers)

    async def ask(self, method: str, path: str = "", **wanted: Any) -> httpx.Response:
        """Ask about the source with the client's admin key."""
        return await self.grove.http.request(method, self.path + path, headers=self.client.admin, **wanted)

    async def outcomes(self) -> dict[str, int]:
        """Tell what became of what came."""
        return dict((await self.ask("GET", "/check")).json()["outcomes"])


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker, whose clock is ours."""
    CLOCK.set(datetime.fromtimestamp(AT, UTC) + timedelta(minutes=10))
    async with open_grove(postgres.url, clock=CLOCK) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """The client whose sources these are."""
    return await grove.make_client("maple")


async def make(grove: Grove, client: MadeClient, kind: str, **wanted: Any) -> Source:
    """Make a source with a secret."""
    secret = f"whsec_{uuid.uuid4().hex}"
    given = {"mapping": MAPPING} if kind == "generic" else {"secret": secret}
    answer = await grove.http.post(PATH, json={"kind": kind, **given, **wanted}, headers=client.admin)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["url"] == f"http://grove.test/hooks/{made['id']}"
    return Source(grove, client, made, made["secret"] or secret)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_delivery_is_stored_once_however_often_it_comes(grove: Grove, maple: MadeClient, kind: str) -> None:
    source = await make(grove, maple, kind)
    first = await source.deliver()
    assert (first.status_code, first.json()) == (202, told(accepted=1))
    again = [await source.deliver() for _ in range(2)]
    # What is not signed makes it no other delivery.
    again.append(await source.deliver(headers={"X-Shopify-Webhook-Id": "other", "X-Chatwoot-Delivery": "other"}))
    assert [(each.status_code, each.json()) for each in again] == [(202, told(duplicates=1))] * 3
    assert await source.outcomes() == {"stored": 1, "duplicate": 3}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_signed_by_the_service_is_refused(grove: Grove, maple: MadeClient, kind: str) -> None:
    source, other = await make(grove, maple, kind), await make(grove, maple, kind)
    answers = [
        await source.deliver(secret=other.secret),
        await source.deliver(sent=encode({"type": "forged"})),
        await grove.http.post(f"/hooks/{source.id}", json=GOOD[kind][0], headers=GOOD[kind][1]),
        await grove.http.post(f"/hooks/{uuid.uuid4()}", json=GOOD[kind][0], headers=maple.admin),
    ]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() | {"request_id": ""} == answers[0].json() | {"request_id": ""}
    assert await source.outcomes() == {}
    metrics = (await grove.http.get("/metrics")).text
    assert f'grove_hooks_refused_total{{kind="{kind}",reason="wrong"}}' in metrics


@pytest.mark.parametrize("kind", ["stripe", "chatwoot", "generic"])
async def test_a_delivery_of_another_time_is_refused(grove: Grove, maple: MadeClient, kind: str) -> None:
    source = await make(grove, maple, kind)
    for minutes in (-6, 6):
        assert (await source.deliver(at=CLOCK() + timedelta(minutes=minutes))).status_code == 401
    assert (await source.deliver(at=CLOCK() - timedelta(minutes=4))).status_code == 202


async def test_payments_and_refunds_are_stored_with_their_amounts(grove: Grove, maple: MadeClient) -> None:
    stripe, shopify = await make(grove, maple, "stripe"), await make(grove, maple, "shopify")
    ours = {"payment_intent": "pi_yen", "currency": "jpy", "amount_total": 5000}
    assert (await stripe.deliver(stripe_event("checkout.session.completed", checkout(**ours)))).json()["accepted"] == 1
    paid = intent(id="pi_yen", currency="jpy", amount_received=5000)
    told_again = (await stripe.deliver(stripe_event("payment_intent.succeeded", paid))).json()
    assert (told_again["accepted"], told_again["duplicates"]) == (0, 1)
    assert (await shopify.deliver(refund(), topic="refunds/create")).json() == told(accepted=1)
    placement = await grove.placement_of(maple.id)
    query = """
    SELECT name, amount::text, currency, properties->>'order_id' AS order_id, key_id::text
    FROM {{schema}}.events WHERE properties->>'provider' IS NOT NULL AND key_id = ANY($1::uuid[]) ORDER BY name
    """
    rows = await fetch(grove.settings.main_url, placement.render(query), [stripe.id, shopify.id])
    assert [tuple(row) for row in rows] == [
        ("purchase", "5000.000000", "JPY", "pi_yen", stripe.id),
        ("refund", "89.000000", "USD", "820982911946154508", shopify.id),
    ]
    orders = placement.render("SELECT currency, paid::text, refunded::text FROM {{schema}}.orders WHERE order_id = $1")
    paid_back = stripe_event("charge.refunded", charge(payment_intent="pi_yen", currency="jpy", amount_refunded=2000))
    assert (await stripe.deliver(paid_back)).json() == told(accepted=1)
    (row,) = await fetch(grove.settings.main_url, orders, "pi_yen")
    assert tuple(row) == ("JPY", "5000.000000", "2000.000000")


async def test_no_payment_is_suppressed_by_what_anybody_can_send(grove: Grove) -> None:
    client = await grove.make_client("public")
    source = await make(grove, client, "stripe")
    forged = {"event_id": "stripe/pi_3P/purchase", "name": "x", "occurred_at": CLOCK().isoformat()}
    sent = await grove.http.post("/api/v1/events", json=forged, headers=client.browser)
    assert sent.json()["accepted"] == 1
    assert (await source.deliver()).json() == told(accepted=1)
    of_the_charge = stripe_event("charge.succeeded", charge(), number=2, created=AT + 3)
    assert (await source.deliver(of_the_charge)).json() == told(duplicates=1)


async def test_what_means_nothing_is_counted_and_not_sent_again(grove: Grove, maple: MadeClient) -> None:
    source = await make(grove, maple, "stripe")
    answer = await source.deliver(stripe_event("customer.updated", {"id": "cus_9"}))
    assert (answer.status_code, answer.json()) == (202, told(filtered=1))
    assert (await source.deliver(stripe_event("charge.succeeded", intent(), livemode=False))).json()["filtered"] == 1
    usage = (await grove.http.get(f"{maple.path}/usage", headers=maple.admin)).json()["data"]
    (hour,) = [each for each in usage if each["key_id"] == source.id]
    assert {(each["outcome"], each["reason"], each["count"]) for each in hour["outcomes"]} == {
        ("filtered", "ignored", 1),
        ("filtered", "test", 1),
    }


async def test_what_is_not_as_it_should_be_waits_in_quarantine(grove: Grove, maple: MadeClient) -> None:
    source = await make(grove, maple, "stripe")
    answer = await source.deliver(stripe_event("payment_intent.succeeded", intent(amount_received="much")))
    assert (answer.status_code, answer.json()["rejected"][0]["pointer"]) == (202, "/data/object/amount_received")
    path = f"/api/v1/quarantine?key={source.id}"
    (waiting,) = [
        each for each in (await grove.http.get(path, headers=maple.admin)).json()["data"] if each["key_id"] == source.id
    ]
    assert waiting["code"] == "wrong_type"


async def test_a_conversation_is_in_the_chatbots_funnel(grove: Grove) -> None:
    client = await grove.make_client("talk")
    source = await make(grove, client, "chatwoot")
    handed_over = [{"status": {"previous_value": "pending", "current_value": "open"}}]
    for payload in (
        conversation("conversation_created"),
        message(),
        conversation("conversation_status_changed", status="open", changed_attributes=handed_over),
    ):
        assert (await source.deliver(payload)).json() == told(accepted=1)
    (session,) = (await grove.http.get(f"/api/{client.id}/sessions", headers=client.server)).json()["data"]
    assert session["widgetOpened"] is not None
    assert session["requestedHuman"] is not None


async def test_a_rotated_secret_works_beside_the_old_one_for_the_overlap(grove: Grove, maple: MadeClient) -> None:
    source = await make(grove, maple, "stripe")
    new = "whsec_of_the_new_endpoint"
    answer = await source.ask("POST", "/rotate", json={"secret": new, "overlap_s": 3600})
    assert (answer.status_code, answer.json()["secret"]) == (201, None)
    assert [(await source.deliver(secret=each)).status_code for each in (source.secret, new)] == [202, 202]
    CLOCK.ahead += timedelta(hours=1)
    assert [(await source.deliver(secret=each)).status_code for each in (source.secret, new)] == [401, 202]
    CLOCK.ahead -= timedelta(hours=1)


async def test_what_is_changed_or_deleted_is_so_in_every_process(grove: Grove, maple: MadeClient) -> None:
    source = await make(grove, maple, "generic")
    async with grove.twin(clock=CLOCK) as twin:
        assert (await source.deliver(grove=twin)).status_code == 202
        made = await source.ask("POST", "/rotate", json={"overlap_s": 0})
        assert made.json()["secret"].startswith("whsec_")

        async def is_refused() -> bool:
            return (await source.deliver(grove=twin)).status_code == 401

        await until(is_refused, within_s=1)
        source.secret = made.json()["secret"]
        assert (await source.deliver(grove=twin)).status_code == 202
        assert (await source.ask("DELETE")).status_code == 204
        await until(is_refused, within_s=1)
    assert (await source.ask("GET")).status_code == 404


async def test_a_source_waits_for_the_secret_that_its_service_makes(grove: Grove, maple: MadeClient) -> None:
    made = (await grove.http.post(PATH, json={"kind": "stripe"}, headers=maple.admin)).json()
    source = Source(grove, maple, made, "whsec_that_stripe_shows")
    assert made["has_secret"] is False
    assert (await source.deliver()).status_code == 401
    assert (await source.ask("POST", "/rotate", json={})).status_code == 400
    assert (await source.ask("POST", "/rotate", json={"secret": source.secret})).json()["has_secret"] is True
    assert (await source.deliver()).status_code == 202


async def test_another_mapping_holds_at_once_and_can_be_tried(grove: Grove, maple: MadeClient) -> None:
    source = await make(grove, maple, "generic", accept_test=False)
    mapping = {"fields": {"name": "/kind"}, "names": {"up": "upgrade"}}
    changed = await source.ask("PUT", json={"name": "billing", "mapping": mapping})
    assert (changed.status_code, changed.json()["mapping"]["names"]) == (200, {"up": "upgrade"})
    tried = await source.ask("POST", "/try", json={"body": [{"kind": "up"}, {"kind": "down"}, {"kind": 7}]})
    assert [(each["event"] or {}).get("name") for each in tried.json()["events"]] == ["upgrade", None, None]
    assert [each["outcome"] for each in tried.json()["events"]] == ["stored", "filtered", "filtered"]

    async def is_new() -> bool:
        answer = await source.deliver({"kind": "up"}, query="?debug=1")
        return answer.status_code == 200 and bool(answer.json()["accepted"] == 1)

    await until(is_new, within_s=1)
    unclear = await source.deliver({"kind": "up"}, query="?debug=true")
    assert (unclear.status_code, unclear.json()["errors"][0]["pointer"]) == (400, "debug")
    assert await source.outcomes() == {}
    shop = await make(grove, maple, "shopify")
    tried = await shop.ask("POST", "/try", json={"body": order(), "headers": {"X-Shopify-Topic": "orders/paid"}})
    assert tried.json()["events"][0]["event"]["amount"] == "178.00"


async def test_bodies_are_bounded_and_taken_as_they_are_signed(grove: Grove, maple: MadeClient) -> None:
    source = await make(grove, maple, "stripe")
    assert (await source.deliver(body=b'"' + b"x" * 1024 * 1024 + b'"')).status_code == 413
    assert (await source.deliver(headers={"Content-Encoding": "gzip"})).status_code == 415
    assert (await source.deliver(headers={"Content-Type": "text/plain"})).status_code == 415
    assert (await source.deliver(body=b"{")).json()["code"] == "invalid_json"
    assert (await grove.http.get(f"/hooks/{source.id}")).status_code == 405


@pytest.fixture(scope="module")
async def sources(grove: Grove, maple: MadeClient) -> dict[str, Source]:
    """A source of each kind; the generic one looks everywhere."""
    mapping = {"fields": {target: f"/{target}" for target in TARGETS}, "minor_units": True}
    return {
        kind: await make(grove, maple, kind, **({"mapping": mapping} if kind == "generic" else {})) for kind in KINDS
    }


def spoilt(kind: str) -> st.SearchStrategy[tuple[str, bytes]]:
    """Draw bodies of a kind in which something is not as it should be."""
    good = dict.fromkeys(TARGETS, 5) if kind == "generic" else GOOD[kind][0]
    bodies = st.builds(changed, st.just(good), st.sampled_from(places(good)), JSON | st.just(10**400)).map(dump)
    return st.tuples(st.just(kind), bodies | RAW)


@given(delivery=st.sampled_from(KINDS).flatmap(spoilt))
@example(delivery=("stripe", dump(GOOD["stripe"][0] | {"created": 10**400})))
@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_whatever_is_signed_no_delivery_is_a_fault_of_ours(
    sources: dict[str, Source], delivery: tuple[str, bytes]
) -> None:
    kind, body = delivery
    assert (await sources[kind].deliver(body=body)).status_code in {202, 400}


async def test_the_clients_limits_and_state_hold_for_its_sources(grove: Grove) -> None:
    client = await grove.make_client("small", rateLimit=1, rateBurst=1)
    source = await make(grove, client, "stripe")
    assert (await source.deliver()).status_code == 202
    limited = await source.deliver()
    assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
    await grove.http.post(f"{client.path}/suspend", headers=grove.platform)

    async def is_suspended() -> bool:
        return (await source.deliver()).status_code == 403

    await until(is_suspended, within_s=1)


async def test_sources_are_listed_without_secrets_and_made_once_for_an_idempotency_key(grove: Grove) -> None:
    client = await grove.make_client("listing")
    headers = client.admin | {"Idempotency-Key": "hook-1"}
    wanted = {"kind": "generic", "mapping": MAPPING, "signature": {"scheme": "hmac", "header": "X-Sig"}}
    first, again = [(await grove.http.post(PATH, json=wanted, headers=headers)).json() for _ in range(2)]
    assert first["secret"] is not None
    assert again == first | {"secret": None}
    listed = (await grove.http.get(PATH, headers=client.server)).json()["data"]
    assert listed == [again]
    assert (await grove.http.post(PATH, json=wanted, headers=client.server)).status_code == 403


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"kind": "paypal"}, "/kind"),
        ({"kind": "stripe", "secret": "short"}, "/secret"),
        ({"kind": "stripe", "mapping": MAPPING}, "/mapping"),
        ({"kind": "generic"}, "/mapping"),
        ({"kind": "generic", "mapping": MAPPING, "signature": {"scheme": "hmac"}}, "/signature/header"),
        ({"kind": "generic", "mapping": {"fields": {"name": "x"}}}, "/mapping/fields/name"),
    ],
)
async def test_a_source_that_cannot_be_is_refused_with_a_pointer(
    grove: Grove, maple: MadeClient, wanted: dict[str, Any], pointer: str
) -> None:
    answer = await grove.http.post(PATH, json=wanted, headers=maple.admin)
    assert answer.status_code == 400, answer.text
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}


def told(**counts: int) -> dict[str, Any]:
    """Write an answer."""
    return {"accepted": 0, "duplicates": 0, "filtered": 0, "conflicts": [], "rejected": []} | counts
