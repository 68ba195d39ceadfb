"""Shopify's webhooks become our events: orders, refunds, checkouts and customers. Pure.

Shopify signs bodies alone: neither the topic nor the delivery's id is vouched for. So ids are made of what bodies say,
and each topic is believed of a body only that has what tells such bodies from all others.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from app.ingest.hooks.delivery import Delivery, Told, read_as, require_recent
from app.ingest.outcomes import Filtered, FilterReason

# Of so many lines, an event has fewer keys than it may have; an order's amount is whole in any case.
_MAX_LINES = 250
_PAID = frozenset({"paid", "partially_refunded", "refunded"})
_PAYS_BACK = frozenset({"success", "pending"})


class _Customer(msgspec.Struct, frozen=True):
    id: int


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    product_id: int | None = None
    quantity: int | None = None
    price: Decimal | None = None


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an order or a checkout."""

    id: int
    currency: str
    total_price: Decimal
    created_at: datetime
    updated_at: datetime | None = None
    processed_at: datetime | None = None
    cancelled_at: datetime | None = None
    financial_status: str | None = None
    name: str | None = None
    test: bool = False
    customer: _Customer | None = None
    line_items: list[_Line] = []


class _Transaction(msgspec.Struct, frozen=True, kw_only=True):
    amount: Decimal
    kind: str
    status: str
    currency: str | None = None
    test: bool = False


class _Refund(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    order_id: int
    created_at: datetime
    transactions: list[_Transaction] = []


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """What tells bodies from each other, and of which time they are."""

    admin_graphql_api_id: Any = None
    token: Any = None
    abandoned_checkout_url: Any = None
    financial_status: Any = None
    order_number: Any = None
    order_id: Any = None
    total_price: Any = None
    line_items: Any = None
    transactions: Any = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class _Person(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    created_at: datetime


def translate_shopify(delivery: Delivery) -> list[Told]:
    """Tell what happened.

    Errors: Refusal; Filtered for topics that mean nothing to us, for test orders unless they are wanted, and for what
    was long ago.
    """
    known = _TOPICS.get(delivery.headers.get("x-shopify-topic", "").lower())
    if known is None:
        raise Filtered(FilterReason.IGNORED)
    translate, bears_out = known
    head = read_as(_Head, delivery.payload)
    at = head.updated_at or head.created_at
    if at is not None:
        require_recent(at, delivery)
    if not bears_out(head):
        raise Filtered(FilterReason.IGNORED)
    return [{name: value for name, value in translate(delivery).items() if value is not None}]


def _order(delivery: Delivery) -> Told:
    """Tell a purchase of an order that is paid, whichever topic said so first."""
    order = _read_order(delivery)
    paid = order.financial_status in _PAID
    what = "purchase" if paid else "order_created"
    at = (order.updated_at if paid else None) or order.processed_at or order.created_at
    return _tell_order(order, what, at)


def _cancelled(delivery: Delivery) -> Told:
    order = _read_order(delivery)
    if order.cancelled_at is None:
        raise Filtered(FilterReason.IGNORED)
    return _tell_order(order, "order_cancelled", order.cancelled_at)


def _checkout(delivery: Delivery) -> Told:
    checkout = _read_order(delivery)
    return _tell_order(checkout, "checkout_start", checkout.created_at)


def _refund(delivery: Delivery) -> Told:
    refund = read_as(_Refund, delivery.payload)
    paid = [each for each in refund.transactions if each.kind == "refund" and each.status in _PAYS_BACK]
    if not paid:
        raise Filtered(FilterReason.IGNORED)
    _require_real(delivery, is_test=any(each.test for each in paid))
    currency = paid[0].currency
    return {
        "event_id": f"shopify/refund/{refund.id}",
        "name": "refund",
        "category": "order",
        "occurred_at": refund.created_at.isoformat(),
        "amount": str(sum((each.amount for each in paid if each.currency == currency), Decimal(0))),
        "currency": currency,
        "properties": {"order_id": str(refund.order_id), "provider": "shopify"},
    }


def _customer(delivery: Delivery) -> Told:
    person = read_as(_Person, delivery.payload)
    require_recent(person.created_at, delivery)  # a change of late tells of an old one, too
    return {
        "event_id": f"shopify/customer/{person.id}",
        "name": "registration",
        "category": "user",
        "occurred_at": person.created_at.isoformat(),
        "user_id": str(person.id),
        "properties": {"provider": "shopify"},
    }


def _read_order(delivery: Delivery) -> _Order:
    order = read_as(_Order, delivery.payload)
    _require_real(delivery, is_test=order.test)
    return order


def _tell_order(order: _Order, name: str, at: datetime) -> Told:
    properties: dict[str, Any] = {"order_id": str(order.id), "provider": "shopify"}
    if order.name is not None:
        properties["reference"] = order.name
    return {
        "event_id": f"shopify/{name}/{order.id}",
        "name": name,
        "category": "order",
        "occurred_at": at.isoformat(),
        "user_id": None if order.customer is None else str(order.customer.id),
        "amount": str(order.total_price),
        "currency": order.currency.upper(),
        "properties": properties | {"items": [_tell_line(line) for line in order.line_items[:_MAX_LINES]]},
    }


def _tell_line(line: _Line) -> Told:
    told = {
        "product_id": None if line.product_id is None else str(line.product_id),
        "quantity": line.quantity,
        "price": None if line.price is None else float(line.price),
    }
    return {name: value for name, value in told.items() if value is not None}


def _require_real(delivery: Delivery, *, is_test: bool) -> None:
    if is_test and not delivery.accept_test:
        raise Filtered(FilterReason.TEST)


def _is_order(head: _Head) -> bool:
    return head.financial_status is not None


def _is_checkout(head: _Head) -> bool:
    is_named = head.abandoned_checkout_url is not None or head.token is not None
    return is_named and head.financial_status is None and head.order_number is None


def _is_refund(head: _Head) -> bool:
    return head.order_id is not None and head.transactions is not None


def _is_customer(head: _Head) -> bool:
    others = (head.total_price, head.line_items, head.order_id, head.transactions)
    is_none_else = all(each is None for each in others)
    return is_none_else and "/Customer/" in str(head.admin_graphql_api_id or "/Customer/")


_TOPICS: dict[str, tuple[Callable[[Delivery], Told], Callable[[_Head], bool]]] = {
    "orders/create": (_order, _is_order),
    "orders/paid": (_order, _is_order),
    "orders/cancelled": (_cancelled, _is_order),
    "refunds/create": (_refund, _is_refund),
    "checkouts/create": (_checkout, _is_checkout),
    "customers/create": (_customer, _is_customer),
}
