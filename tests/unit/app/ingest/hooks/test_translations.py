"""What Stripe, Shopify, Chatwoot and a mapped service tell, in our words."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from app.ingest.event import Arrival
from app.ingest.flush import Submission
from app.ingest.hooks.delivery import from_minor
from app.ingest.hooks.generic import resolve
from app.ingest.hooks.sources import Source
from app.ingest.hooks.translation import read_delivery, submit
from provisioning.hooks.requests import Mapping, Signature, source_faults
from provisioning.hooks.requests import SourceRequest as Wanted
from tenants.errors import InputRefused
from tenants.ids import TenantId, as_uuid
from tests.support.hooks import (
    AT,
    begun,
    charge,
    checkout,
    conversation,
    encode,
    intent,
    message,
    order,
    person,
    refund,
    stripe_event,
)

SOURCE_ID = UUID("0f8b9a3e-7c2d-4a51-9a2b-3c6d8e1f2a47")
NOW = datetime.fromtimestamp(AT, UTC) + timedelta(minutes=10)
HANDED_OVER = [{"status": {"previous_value": "pending", "current_value": "open"}}]
AGENT = {"id": 2, "name": "Bea", "email": "bea@maple.example", "type": "user"}


def source_of(kind: str, **more: Any) -> Source:
    """Describe a source."""
    plain: dict[str, Any] = {
        "id": SOURCE_ID,
        "accept_test": False,
        "signature": None,
        "mapping": None,
        "id_key": b"maple's",
    }
    return Source(client_id=TenantId("maple"), kind=kind, secret=None, **(plain | more))


def named(what: str) -> str:
    """Name an event as this client's sources do."""
    return source_of("stripe").event_id(what)


def submitted(
    kind: str, payload: Any, *, topic: str = "", now: datetime = NOW, signed_id: str | None = None,
    memory: timedelta = timedelta(days=30), **source: Any,
) -> tuple[list[Any], Submission]:  # fmt: skip
    """Take a delivery through the steps."""
    described = source_of(kind, **source)
    headers = {"x-shopify-topic": topic}
    delivery = read_delivery(described, headers, encode(payload), now, memory=memory, signed_id=signed_id)
    key_id: Any = SOURCE_ID
    arrival = Arrival(key_id=key_id, received_at=now, oldest=now - timedelta(days=730), accepts_chat=True)
    return submit(described, delivery, arrival)


def told(kind: str, payload: Any, **how: Any) -> list[Any]:
    """Tell a delivery: each event, or the reason why there is none."""
    events, submission = submitted(kind, payload, **how)
    reasons = {each.index: each.reason.value for each in submission.filtered}
    reasons |= {each.answer.index: f"{each.answer.code} {each.answer.pointer}" for each in submission.refused}
    return [reasons.get(index, event) for index, event in enumerate(events)]


def test_a_payment_is_one_purchase_whatever_tells_of_it() -> None:
    ((by_intent,), (by_checkout,), (by_charge,)) = (
        told("stripe", stripe_event("payment_intent.succeeded", intent())),
        told("stripe", stripe_event("checkout.session.completed", checkout(), number=2)),
        told("stripe", stripe_event("charge.succeeded", charge(), number=3)),
    )
    assert by_intent == {
        "event_id": named("stripe/pi_3P/purchase"), "name": "purchase", "category": "order", "user_id": "cus_9",
        "occurred_at": "2026-11-03T10:00:00+00:00", "amount": "49.90", "currency": "EUR",
        "properties": {"order_id": "pi_3P", "provider": "stripe", "reference": "C-1007"},
    }  # fmt: skip
    assert by_checkout["properties"] == {"order_id": "pi_3P", "provider": "stripe", "reference": "cart-7"}
    for field in ("event_id", "name", "amount", "currency", "occurred_at"):
        assert by_intent[field] == by_checkout[field] == by_charge[field]
    assert "example" not in str([by_intent, by_checkout, by_charge])


@pytest.mark.parametrize(
    ("units", "currency", "amount"),
    [
        (4990, "EUR", "49.90"), (5, "USD", "0.05"), (0, "USD", "0.00"), (500, "JPY", "500"), (500, "KRW", "500"),
        (12_340, "KWD", "12.340"), (5_120, "BHD", "5.120"), (500, "UGX", "5.00"), (10_000, "ISK", "100.00"),
    ],
)  # fmt: skip
def test_minor_units_are_of_their_currency(units: int, currency: str, amount: str) -> None:
    assert from_minor(units, currency) == amount
    (event,) = told(
        "stripe", stripe_event("payment_intent.succeeded", intent(amount_received=units, currency=currency))
    )
    assert (event["amount"], event["currency"]) == (amount, currency)


def test_refunds_are_what_was_added_to_those_before() -> None:
    first = stripe_event("charge.refunded", charge(amount_refunded=1000), before={"amount_refunded": 0})
    second = stripe_event("charge.refunded", charge(amount_refunded=4990), before={"amount_refunded": 1000}, number=2)
    whole = stripe_event("charge.refunded", charge(amount_refunded=4990))
    events = [told("stripe", each)[0] for each in (first, second, whole)]
    assert [event["amount"] for event in events] == ["10.00", "39.90", "49.90"]
    ids = [named(f"stripe/ch_3P/refund/{total}") for total in (1000, 4990, 4990)]
    assert [event["event_id"] for event in events] == ids
    assert {(event["name"], event["properties"]["order_id"]) for event in events} == {("refund", "pi_3P")}
    assert told("stripe", stripe_event("charge.refunded", charge())) == ["ignored"]


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        (stripe_event("customer.updated", {"id": "cus_9"}), "ignored"),
        (stripe_event("checkout.session.completed", checkout(payment_status="unpaid")), "ignored"),
        (stripe_event("checkout.session.completed", checkout(mode="subscription", payment_intent=None)), "ignored"),
        (stripe_event("charge.succeeded", charge(captured=False)), "ignored"),
        (stripe_event("charge.refunded", charge(captured=False, amount_refunded=4990)), "ignored"),
        (stripe_event("payment_intent.succeeded", intent(), created=10**400), "invalid_time /occurred_at"),
        (stripe_event("payment_intent.succeeded", intent(), livemode=False), "test"),
        ({"object": "v2.core.event"}, "ignored"),
        (
            stripe_event("payment_intent.succeeded", intent(amount_received="4990")),
            "wrong_type /data/object/amount_received",
        ),
        (stripe_event("payment_intent.succeeded", {"object": "payment_intent"}), "required /data/object/id"),
        (stripe_event("payment_intent.succeeded", intent(currency="euros")), "invalid /currency"),
        ([], "not_an_object "),
    ],
)  # fmt: skip
def test_what_stripe_tells_otherwise_is_no_purchase(payload: Any, outcome: str) -> None:
    assert told("stripe", payload) == [outcome]


def test_test_mode_counts_where_it_is_wanted_and_free_orders_are_purchases() -> None:
    payload = stripe_event("payment_intent.succeeded", intent(), livemode=False)
    assert told("stripe", payload, accept_test=True)[0]["name"] == "purchase"
    free = checkout(payment_intent=None, payment_status="no_payment_required", amount_total=0)
    (event,) = told("stripe", stripe_event("checkout.session.completed", free))
    assert (event["event_id"], event["amount"]) == (named("stripe/cs_live_a1/purchase"), "0.00")
    failed = stripe_event("payment_intent.payment_failed", intent(status="requires_payment_method"))
    assert told("stripe", failed)[0]["name"] == "payment_failed"


def test_a_paid_order_is_one_purchase_whichever_topic_said_so() -> None:
    (created,), (paid,) = (told("shopify", order(), topic=topic) for topic in ("orders/create", "orders/paid"))
    assert created == paid
    assert created == {
        "event_id": named("shopify/purchase/820982911946154508"), "name": "purchase", "category": "order",
        "occurred_at": "2026-11-03T10:59:00+01:00", "user_id": "115310627314723954", "amount": "178.00",
        "currency": "USD",
        "properties": {
            "order_id": "820982911946154508", "provider": "shopify", "reference": "#1001",
            "items": [{
                "product_id": "632910392", "quantity": 2, "price": 89.0,
            }],
        },
    }  # fmt: skip


def test_no_topic_makes_a_purchase_of_an_order_that_is_not_paid() -> None:
    for topic in ("orders/create", "orders/paid"):
        (event,) = told("shopify", order(financial_status="pending"), topic=topic)
        assert (event["name"], event["event_id"]) == (
            "order_created",
            named("shopify/order_created/820982911946154508"),
        )


def test_what_shopify_pays_back_is_a_refund_of_its_order() -> None:
    paid = refund()["transactions"][0]
    failed, other = paid | {"status": "failure"}, paid | {"kind": "void"}
    (event,) = told("shopify", refund(transactions=[paid, failed, other, paid]), topic="refunds/create")
    assert (event["name"], event["amount"], event["currency"]) == ("refund", "178.00", "USD")
    assert event["properties"]["order_id"] == "820982911946154508"
    assert told("shopify", refund(transactions=[failed]), topic="refunds/create") == ["ignored"]


def test_shopifys_other_topics_are_told_or_passed_over() -> None:
    (started,) = told("shopify", begun(), topic="checkouts/create")
    assert started["name"] == "checkout_start"
    (registered,) = told("shopify", person(), topic="customers/create")
    assert (registered["name"], registered["user_id"]) == ("registration", "7")
    (cancelled,) = told("shopify", order(cancelled_at="2026-11-03T10:00:00Z"), topic="orders/cancelled")
    assert cancelled["name"] == "order_cancelled"
    assert told("shopify", order(), topic="orders/cancelled") == ["ignored"]
    assert told("shopify", order(), topic="products/update") == told("shopify", order()) == ["ignored"]
    assert told("shopify", order(test=True), topic="orders/paid") == ["test"]
    assert told("shopify", order(test=True), topic="orders/paid", accept_test=True)[0]["name"] == "purchase"
    assert told("shopify", order(total_price=None), topic="orders/paid") == ["wrong_type /total_price"]


def test_what_was_long_ago_is_passed_over() -> None:
    for topic, payload in (
        ("orders/paid", order()),
        ("orders/paid", order(total_price="much")),
        ("refunds/create", refund()),
        ("customers/create", person(updated_at="2026-11-11T10:00:00Z")),
    ):
        assert told("shopify", payload, topic=topic, now=NOW + timedelta(days=8)) == ["stale"]


def test_nothing_is_taken_that_was_before_what_is_remembered() -> None:
    bare = Signature(scheme="hmac", header="X-Sig")
    mapping = Mapping(fields={"name": "/type", "occurred_at": "/at"})
    timed = msgspec.structs.replace(bare, timestamp_header="X-Time")
    for days, outcome in ((2, 1), (1, 0)):
        how: Any = {"now": NOW + timedelta(days=1, hours=12), "memory": timedelta(days=days)}
        for passed in (
            told("shopify", order(), topic="orders/paid", **how),
            told("generic", {"type": "a", "at": AT}, signature=bare, mapping=mapping, **how),
        ):
            assert (passed == ["stale"]) == (outcome == 0)
        assert told("generic", {"type": "a", "at": AT}, signature=timed, mapping=mapping, **how)[0]["name"] == "a"


BODIES = {
    "orders/paid": order(),
    "orders/create": order(financial_status="pending"),
    "orders/cancelled": order(cancelled_at="2026-11-03T10:00:00Z"),
    "checkouts/create": begun(),
    "customers/create": person(),
    "refunds/create": refund(),
}


@pytest.mark.parametrize("topic", BODIES)
def test_the_topic_is_believed_only_of_a_body_that_bears_it_out(topic: str) -> None:
    kind = topic.partition("/")[0]
    assert told("shopify", BODIES[topic], topic=topic)[0]["name"]
    for other, body in BODIES.items():
        if not other.startswith(kind):
            assert told("shopify", body, topic=topic) == ["ignored"], other
    products = {"id": 7, "created_at": "2026-11-03T10:00:00Z", "admin_graphql_api_id": "gid://shopify/Product/7"}
    assert told("shopify", products, topic=topic) == ["ignored"]


def test_an_order_of_many_lines_is_a_purchase_of_its_whole_amount() -> None:
    (line,) = order()["line_items"]
    (event,) = told("shopify", order(line_items=[line] * 2000), topic="orders/paid")
    assert (event["amount"], len(event["properties"]["items"])) == ("178.00", 250)


def test_no_event_has_an_id_that_anybody_else_can_foresee() -> None:
    payment = stripe_event("payment_intent.succeeded", intent())
    mapping = Mapping(fields={"name": "/type", "event_id": "/id"})
    stored = []
    others: list[dict[str, Any]] = [{}, {"id": UUID(int=7)}, {"id_key": b"another client's"}]
    for other in others:
        deliveries: list[tuple[str, Any, dict[str, Any], str]] = [
            ("stripe", payment, {}, "stripe/pi_3P/purchase"),
            ("shopify", order(), {"topic": "orders/paid"}, "shopify/purchase/820982911946154508"),
            ("generic", {"type": "a", "id": "7"}, {"mapping": mapping}, f"hook/{SOURCE_ID.hex}/7"),
            ("chatwoot", message(), {}, f"chatwoot/{SOURCE_ID.hex}/message/41"),
        ]
        ids = []
        for kind, payload, how, foreseen in deliveries:
            _, submission = submitted(kind, payload, **how, **other)
            ids.append(submission.events[0].id)
            assert ids[-1] != as_uuid(foreseen)
        stored.append(ids)
    own, twin, foreign = stored
    assert own[:2] == twin[:2]  # two sources of one shop
    assert not set(own) & set(foreign)


def test_what_tells_of_one_payment_tells_no_conflict() -> None:
    (intended,), (checked_out,), (dearer,) = (
        submitted("stripe", each)[1].events
        for each in (
            stripe_event("payment_intent.succeeded", intent()),
            stripe_event("checkout.session.completed", checkout(), number=2, created=AT + 3),
            stripe_event("charge.succeeded", charge(amount_captured=5000), number=3),
        )
    )
    assert intended.digest == checked_out.digest != dearer.digest


def test_of_what_cannot_be_told_only_a_trace_is_kept() -> None:
    payload = stripe_event("payment_intent.succeeded", intent(amount_received="4990", client_secret="pi_3P_secret"))
    kept = [submitted("stripe", each)[1].refused[0] for each in (payload, payload, payload | {"id": "evt_2"})]
    assert [each.event_uuid == kept[0].event_uuid for each in kept] == [True, True, False]
    assert msgspec.json.decode(kept[0].body) == {
        "event_id": str(kept[0].event_uuid), "kind": "stripe", "type": "payment_intent.succeeded", "id": "evt_1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "role"),
    [
        ({}, "user"),
        ({"message_type": 0}, "user"),
        ({"message_type": "outgoing", "sender": AGENT}, "agent"),
        ({"message_type": "outgoing", "sender": {"id": 1, "name": "Bot", "type": "agent_bot"}}, "assistant"),
        ({"message_type": "template", "sender": None}, "assistant"),
    ],
)
def test_a_message_is_of_who_said_it(more: dict[str, Any], role: str) -> None:
    (event,) = told("chatwoot", message(**more))
    assert event == {
        "event_id": named(f"chatwoot/{SOURCE_ID.hex}/message/41"), "name": "chat_message", "category": "chat",
        "occurred_at": "2026-11-03T10:00:00.123Z", "session_id": f"chatwoot-{SOURCE_ID.hex[:8]}-12",
        "properties": {"role": role, "text": "Do you open on Saturday?"},
    }  # fmt: skip


def test_what_is_said_to_nobody_outside_is_passed_over() -> None:
    for payload in (
        message(private=True), message(message_type="activity"), message(event="message_updated"),
        {"event": "contact_updated"}, {}, conversation("conversation_updated"),
        conversation("conversation_status_changed", status="snoozed"),
        {"event": "webwidget_triggered", "current_conversation": None},
    ):  # fmt: skip
        assert told("chatwoot", payload) == ["ignored"]


def test_a_conversation_is_a_session_from_its_beginning_to_its_end() -> None:
    contact = {"id": 5, "name": "Ana", "email": "ana@maple.example", "phone_number": None}
    taken = [{"assignee_id": {"previous_value": None, "current_value": 2}}]
    events = [
        *told("chatwoot", conversation("conversation_created", meta={"sender": contact, "assignee": None})),
        *told("chatwoot", conversation("conversation_status_changed", status="open", changed_attributes=HANDED_OVER)),
        *told("chatwoot", conversation("conversation_updated", meta={"assignee": AGENT}, changed_attributes=taken)),
        *told("chatwoot", conversation("conversation_status_changed", status="resolved", meta={"assignee": AGENT})),
        *told("chatwoot", {"event": "webwidget_triggered", "current_conversation": {"id": 12}}),
    ]  # fmt: skip
    assert [event["name"] for event in events] == [
        "widget_opened", "lead_captured", "requested_human", "agent_connected", "agent_disconnected", "widget_opened",
    ]  # fmt: skip
    assert events[1]["properties"] == {"name": "Ana", "email": "ana@maple.example", "source": "chatwoot"}
    assert events[3]["properties"] == {"agent": "Bea"}
    assert events[0]["event_id"] == events[5]["event_id"]
    assert len({event["event_id"] for event in events}) == 5
    assert {event["session_id"] for event in events} == {f"chatwoot-{SOURCE_ID.hex[:8]}-12"}
    assert events[2]["occurred_at"] == "2026-11-03T10:00:05.250000+00:00"


def test_a_survey_that_was_answered_is_a_score() -> None:
    answered = {"submitted_values": {"csat_survey_response": {"rating": 4, "feedback_message": "Fine"}}}
    (event,) = told(
        "chatwoot",
        message(
            event="message_updated", content_type="input_csat", content_attributes=answered,
            created_at="2026-11-03 10:00:00 UTC",
        ),
    )  # fmt: skip
    assert (event["name"], event["properties"]) == ("csat", {"score": 4})
    assert event["occurred_at"] == "2026-11-03T10:00:00Z"


NESTED = {"a": [{"~/": 1, "x": "text"}]}
NOWHERE = resolve({}, "/nothing")
MAPPING = Mapping(
    fields={
        "name": "/type", "occurred_at": "/at", "user_id": "/data/who", "amount": "/data/cents", "currency": "/data/in",
        "properties": "/data/more", "properties.first": "/data/list/0", "properties.a/b": "/data/a~1b",
        "event_id": "/id",
    },
    constants={"category": "billing"},
    names={"plan.changed": "upgrade"},
    minor_units=True,
)  # fmt: skip
PLAN = {
    "type": "plan.changed", "at": AT, "id": 7,
    "data": {"who": 88, "cents": 1990, "in": "jpy", "more": {"plan": "team"}, "list": ["x", "y"], "a/b": None},
}  # fmt: skip


def test_a_mapping_finds_our_fields_in_any_body() -> None:
    assert told("generic", PLAN, mapping=MAPPING) == [
        {
            "event_id": named(f"hook/{SOURCE_ID.hex}/7"), "name": "upgrade", "category": "billing", "user_id": "88",
            "occurred_at": "2026-11-03T10:00:00+00:00", "amount": "1990", "currency": "JPY",
            "properties": {"plan": "team", "first": "x"},
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cents", "outcome"),
    [
        (1999, "19.99"), ("1999", "19.99"), (1999.0, "19.99"), (-5, "-0.05"), (10**400, "number_out_of_range /amount"),
        (19.99, "wrong_type /amount"), ("19.99", "wrong_type /amount"), (True, "wrong_type /amount"),
        ("much", "wrong_type /amount"), ([5], "wrong_type /amount"),
    ],
    ids=["whole", "text", "float", "negative", "vast", "broken", "broken text", "bool", "word", "list"],
)  # fmt: skip
def test_minor_units_are_whole_however_they_are_written(cents: Any, outcome: str) -> None:
    payload = PLAN | {"data": {"cents": cents, "in": "EUR"}}
    (event, neighbour) = told("generic", [payload, PLAN], mapping=MAPPING)
    assert (event if isinstance(event, str) else event["amount"]) == outcome
    assert neighbour["name"] == "upgrade"


def test_a_time_that_no_clock_can_hold_is_refused() -> None:
    assert told("generic", PLAN | {"at": 10**400}, mapping=MAPPING) == ["invalid_time /occurred_at"]


def test_each_element_of_an_array_is_an_event_and_none_costs_its_neighbours() -> None:
    other, wrong = PLAN | {"type": "plan.kept"}, PLAN | {"at": "yesterday", "id": 8}
    events = told("generic", [PLAN, other, wrong, 7], mapping=MAPPING)
    assert events[0]["name"] == "upgrade"
    assert events[1:] == ["ignored", "invalid_time /occurred_at", "ignored"]
    for count in (0, 1001):
        with pytest.raises(InputRefused):
            told("generic", [PLAN] * count, mapping=MAPPING)


def test_an_event_without_an_id_has_that_of_its_delivery_else_of_its_body() -> None:
    mapping = Mapping(fields={"name": "/type"})
    ids = [
        told("generic", payload, mapping=mapping, signed_id=signed_id)[0]["event_id"]
        for payload, signed_id in (({"type": "a"}, "msg_1"), ({"type": "b"}, "msg_1"), ({"type": "a"}, "msg_2"))
    ]
    assert ids == [named(f"hook/{SOURCE_ID.hex}/{message_id}/0") for message_id in ("msg_1", "msg_1", "msg_2")]
    bodies = [told("generic", payload, mapping=mapping)[0]["event_id"] for payload in ({"type": "a"}, {"type": "b"})]
    assert len(set(bodies)) == 2
    assert told("generic", {"type": "a"}, mapping=mapping)[0]["event_id"] == bodies[0]
    (event,) = told(
        "generic", {"type": "a", "id": "x" * 128}, mapping=Mapping(fields={"name": "/type", "event_id": "/id"})
    )
    assert str(UUID(event["event_id"])) == event["event_id"]


@pytest.mark.parametrize("pointer", ["", "/a", "/a/0/~0~1"])
def test_pointers_lead_where_they_say(pointer: str) -> None:
    assert resolve(NESTED, pointer) is not NOWHERE
    mapping = Mapping(fields={"name": pointer})
    assert not list(source_faults("generic", Wanted(kind="generic", mapping=mapping)))


@pytest.mark.parametrize("pointer", ["/a/-1", "/a/1", "/a/-", "/b", "/a/0/x/y", "/a/0/~1~0"])
def test_pointers_to_what_is_not_there_lead_nowhere(pointer: str) -> None:
    assert resolve(NESTED, pointer) is NOWHERE


@pytest.mark.parametrize(
    ("mapping", "pointer"),
    [
        (None, "/mapping"),
        (Mapping(), "/mapping/fields"),
        (Mapping(fields={"name": "type"}), "/mapping/fields/name"),
        (Mapping(fields={"name": "/a~2"}), "/mapping/fields/name"),
        (Mapping(fields={"name": "/a", "nick/name": "/b"}), "/mapping/fields/nick~1name"),
        (Mapping(fields={"name": "/a"}, constants={"name": "b"}), "/mapping/constants/name"),
        (Mapping(fields={"name": "/a"}, constants={"user_id": 7}), "/mapping/constants/user_id"),
        (Mapping(fields={"name": "/a"}, constants={"event_id": "x"}), "/mapping/constants/event_id"),
        (Mapping(fields={"name": "/a"}, constants={"properties": "x"}), "/mapping/constants/properties"),
        (Mapping(fields={"name": "/a"}, names={"x": ""}), "/mapping/names/x"),
        (Mapping(fields={"name": "/a"}, names={str(n): "x" for n in range(100)}), "/mapping"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_a_pointer(mapping: Mapping | None, pointer: str) -> None:
    assert pointer in {field for field, _ in source_faults("generic", Wanted(kind="generic", mapping=mapping))}


def test_a_body_that_is_no_json_is_refused() -> None:
    for body in (b"", b"{", b"\xff", b"[" * 100_000, b'"\\ud800"'):
        with pytest.raises(InputRefused):
            read_delivery(source_of("stripe"), {}, body, NOW, memory=timedelta(days=30))
