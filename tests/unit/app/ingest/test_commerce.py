"""What an event says of commerce becomes typed facts, and what it does not say rightly is left out of them."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from asyncpg.pgproto.pgproto import UUID

from app.ingest.commerce import FACT_COLUMNS, MAX_ORDER_ID, Telling, list_facts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID("00000000-0000-4000-8000-000000000001")


def facts(name: str, properties: object, **given: Any) -> list[dict[str, Any]]:
    """Make facts of an event, without what is empty or always the same."""
    telling = Telling(
        name, ID, NOW, "s-1", "v-1", "u-1", given.get("amount"), given.get("currency"), json.dumps(properties)
    )
    rows = [dict(zip(FACT_COLUMNS, fact, strict=True)) for fact in list_facts(telling)]
    for row in rows:
        assert (row.pop("event_id"), row.pop("occurred_at")) == (ID, NOW)
        assert (row.pop("session_id"), row.pop("visitor_id"), row.pop("user_id")) == ("s-1", "v-1", "u-1")
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def test_a_purchase_is_a_payment_with_a_line_for_each_item() -> None:
    items = [{"product_id": "p-1", "quantity": 2, "price": 0.1}, {"product_id": 7, "price": "3.5", "currency": "usd"}]
    properties = {"order_id": 12, "payment_method": "card", "payment_id": "t-1", "items": items}
    assert facts("purchase", properties, amount=Decimal("3.7"), currency="EUR") == [
        {
            "line": 0, "kind": "payment", "action": "completed", "order_id": "12", "amount": Decimal("3.7"),
            "currency": "EUR", "payment_method": "card", "reference": "t-1",
        },
        {
            "line": 1, "kind": "item", "action": "paid", "order_id": "12", "product_id": "p-1", "quantity": 2,
            "price": Decimal("0.1"), "amount": Decimal("0.2"), "currency": "EUR",
        },
        {
            "line": 2, "kind": "item", "action": "paid", "order_id": "12", "product_id": "7", "quantity": 1,
            "price": Decimal("3.5"), "amount": Decimal("3.5"), "currency": "USD",
        },
    ]  # fmt: skip


@pytest.mark.parametrize(("characters", "is_told"), [(MAX_ORDER_ID, True), (MAX_ORDER_ID + 1, False)])
def test_an_order_id_that_no_index_would_hold_is_left_out(characters: int, *, is_told: bool) -> None:
    order_id = "𐌸" * characters
    (created,) = facts("order_created", {"order_id": order_id, "total": 5})
    assert created.get("order_id") == (order_id if is_told else None)
    assert created["amount"] == 5
    assert len(order_id.encode()) < 2_704 or not is_told


def test_a_payment_is_of_what_its_event_says_and_an_order_of_what_its_properties_say_else() -> None:
    properties = {"order_value": "59.9", "order_currency": "eur", "order_items": [{"product_id": "p-1"}]}
    paid, line = facts("purchase", properties)
    assert "amount" not in paid
    assert "currency" not in paid
    assert (line["product_id"], line["quantity"], line["currency"]) == ("p-1", 1, "EUR")
    placed, _ = facts("order_created", properties)
    assert (placed["amount"], placed["currency"]) == (Decimal("59.9"), "EUR")


@pytest.mark.parametrize(
    ("name", "properties", "expected"),
    [
        ("product_view", {"product_id": "p", "price": 5}, ("product", "viewed", Decimal(5))),
        ("add_to_cart", {"product_id": "p", "price": 5, "quantity": 3}, ("cart", "added", Decimal(15))),
        ("product_purchase", {"product_id": "p", "price": 5, "quantity": 3}, ("item", "sold", Decimal(15))),
        ("refund", {"order_id": "o", "amount": 5}, ("refund", "refunded", Decimal(5))),
        ("refund", {"order_id": "o", "amount": "-5"}, ("refund", "refunded", Decimal(5))),
        ("order_created", {"total": "99999999999999.9999999"}, ("order", "created", None)),
        ("order_shipped", {"order_id": "o"}, ("order", "shipped", None)),
        ("search", {"query": "oak", "amount": 5}, ("search", "searched", None)),
        ("registration", {}, ("registration", "registered", None)),
    ],
)
def test_each_kind_has_its_amount(name: str, properties: dict[str, Any], expected: tuple[Any, ...]) -> None:
    (fact,) = facts(name, properties)
    assert (fact["kind"], fact["action"], fact.get("amount")) == expected


@pytest.mark.parametrize(
    "properties",
    [
        {"order_id": True, "currency": "euro", "amount": [], "items": 7},
        {"order_id": {}, "currency": 7, "amount": "NaN", "items": [1, "two"]},
        {"order_id": "", "amount": "1e400", "payment_method": 1.5, "items": {"product_id": "p"}},
        {"amount": 10**15, "items": None, "product_id": None},
        {"amount": True, "items": []},
    ],
)
def test_what_is_not_said_rightly_is_left_out(properties: dict[str, Any]) -> None:
    assert facts("order_created", properties) == [{"line": 0, "kind": "order", "action": "created"}]


def test_a_refund_is_counted_as_what_goes_back_whichever_sign_it_has() -> None:
    (fact,) = facts("refund", {"order_id": "o"}, amount=Decimal("-7.5"))
    assert fact["amount"] == Decimal("7.5")


def test_a_number_beyond_all_bounds_is_left_out() -> None:
    telling = Telling("order_created", ID, NOW, None, None, None, None, None, '{"total": 1e-99999999999999999999}')
    (fact,) = list_facts(telling)
    assert fact[FACT_COLUMNS.index("amount")] is None
