"""Whatever a service sends under a right signature: outcomes for all of it, and never a crash."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ingest.event import Arrival
from app.ingest.hooks.sources import Source
from app.ingest.hooks.translation import read_delivery, submit
from provisioning.hooks.requests import TARGETS, Mapping
from tenants.errors import InputRefused
from tenants.ids import TenantId
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
    stripe_event,
)

NOW = datetime.fromtimestamp(AT, UTC) + timedelta(minutes=10)
SOURCE_ID: Any = UUID(int=7)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([10**309, -(10**400)])  # which no float can hold
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SAMPLES: dict[str, list[Any]] = {
    "stripe": [
        stripe_event("payment_intent.succeeded", intent()),
        stripe_event("checkout.session.completed", checkout()),
        stripe_event("charge.refunded", charge(amount_refunded=10), before={"amount_refunded": 5}),
    ],
    "shopify": [order(), refund()],
    "chatwoot": [
        message(),
        conversation("conversation_created"),
        conversation("conversation_status_changed", status="open", changed_attributes=[{"status": {}}]),
        message(event="message_updated", content_type="input_csat", content_attributes={"submitted_values": {}}),
    ],
    "generic": [dict.fromkeys(TARGETS, "x") | {"properties": {"a": 1}, "amount": 5, "occurred_at": AT}],
}
MAPPING = Mapping(fields={target: f"/{target}" for target in TARGETS} | {"properties.a": "/b"}, minor_units=True)
TOPICS = ["orders/create", "orders/cancelled", "refunds/create", "checkouts/create", "customers/create", "x"]


@pytest.mark.parametrize("kind", sorted(SAMPLES))
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_delivery_has_outcomes_and_none_crashes(kind: str, data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(SAMPLES[kind]))
    payload = changed(sample, data.draw(st.sampled_from(places(sample))), data.draw(ANYTHING))
    source = Source(
        id=SOURCE_ID, client_id=TenantId("maple"), kind=kind, accept_test=True, signature=None,
        mapping=MAPPING if kind == "generic" else None, secret=None, id_key=b"key",
    )  # fmt: skip
    arrival = Arrival(key_id=SOURCE_ID, received_at=NOW, oldest=NOW - timedelta(days=730), accepts_chat=True)
    body = encode(payload)
    topic = data.draw(st.sampled_from(TOPICS))
    try:
        delivery = read_delivery(source, {"x-shopify-topic": topic}, body, NOW, memory=timedelta(days=30))
        told, submission = submit(source, delivery, arrival)
    except InputRefused:
        assert payload == []  # no event at all
        return
    assert submission.size == len(told) >= 1
