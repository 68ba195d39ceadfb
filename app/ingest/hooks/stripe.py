"""Stripe's events become ours: payments are purchases, and what is paid back is a refund. Pure.

A payment has one id, whatever tells of it first: the checkout, the payment intent or the charge.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from app.ingest.hooks.delivery import Delivery, Told, from_minor, read_as, time_of
from app.ingest.outcomes import Filtered, FilterReason

_PAID = frozenset({"paid", "no_payment_required"})


class _Customer(msgspec.Struct, frozen=True):
    id: str


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a checkout session, a payment intent or a charge."""

    id: str
    currency: str | None = None
    customer: str | _Customer | None = None
    metadata: dict[str, str] | None = None
    payment_intent: str | _Customer | None = None
    client_reference_id: str | None = None
    mode: str | None = None
    payment_status: str | None = None
    captured: bool = True
    amount: int | None = None
    amount_captured: int | None = None
    amount_received: int | None = None
    amount_refunded: int | None = None
    amount_total: int | None = None

    @property
    def payment(self) -> str:
        """The payment that it is part of, or is."""
        return _id(self.payment_intent) or self.id


class _Data(msgspec.Struct, frozen=True):
    object: dict[str, Any]
    previous_attributes: dict[str, Any] | None = None


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: str
    created: int
    data: _Data
    livemode: bool = True


class _Head(msgspec.Struct, frozen=True):
    type: str | None = None
    livemode: bool = True


def translate_stripe(delivery: Delivery) -> list[Told]:
    """Tell what happened.

    Errors: Refusal; Filtered for types that mean nothing to us, and for test mode unless it is wanted.
    """
    head = read_as(_Head, delivery.payload)
    translate = _TYPES.get(head.type or "")
    if translate is None:
        raise Filtered(FilterReason.IGNORED)
    if not head.livemode and not delivery.accept_test:
        raise Filtered(FilterReason.TEST)
    event = read_as(_Event, delivery.payload)
    return [translate(event, read_as(_Object, event.data.object, "/data/object"))]


def _checkout(event: _Event, session: _Object) -> Told:
    # What a subscription's checkout leads to is told by the payment itself; and an unpaid one may never be.
    is_whole = session.payment_intent is not None or session.payment_status == "no_payment_required"
    if session.payment_status not in _PAID or session.mode != "payment" or not is_whole:
        raise Filtered(FilterReason.IGNORED)
    return _purchase(event, session, session.amount_total)


def _intent(event: _Event, intent: _Object) -> Told:
    return _purchase(event, intent, intent.amount_received)


def _charge(event: _Event, charge: _Object) -> Told:
    if not charge.captured:
        raise Filtered(FilterReason.IGNORED)
    return _purchase(event, charge, charge.amount if charge.amount_captured is None else charge.amount_captured)


def _purchase(event: _Event, paid: _Object, amount: int | None) -> Told:
    told = _tell(event, paid, "purchase", amount)
    return told | {"event_id": f"stripe/{paid.payment}/purchase"}


def _refund(event: _Event, charge: _Object) -> Told:
    """Tell what was paid back now: a charge says how much it was in all, and how much before.

    Of one that was not captured nothing was paid: what is given back there is a mere authorisation.
    """
    if not charge.captured:
        raise Filtered(FilterReason.IGNORED)
    before = (event.data.previous_attributes or {}).get("amount_refunded", 0)
    total = charge.amount_refunded or 0
    amount = total - before if isinstance(before, int) else total
    if amount <= 0:
        raise Filtered(FilterReason.IGNORED)
    told = _tell(event, charge, "refund", amount)
    return told | {"event_id": f"stripe/{charge.id}/refund/{total}"}


def _failure(event: _Event, intent: _Object) -> Told:
    return _tell(event, intent, "payment_failed", intent.amount) | {"event_id": f"stripe/{event.id}"}


def _tell(event: _Event, paid: _Object, name: str, amount: int | None) -> Told:
    currency = (paid.currency or "").upper()
    reference = (paid.metadata or {}).get("order_id") or paid.client_reference_id
    properties = {"order_id": paid.payment, "provider": "stripe"} | ({"reference": reference} if reference else {})
    return {
        "name": name,
        "category": "order",
        "occurred_at": time_of(event.created),
        "user_id": _id(paid.customer),
        "amount": None if amount is None else from_minor(amount, currency),
        "currency": currency or None,
        "properties": properties,
    }


def _id(named: str | _Customer | None) -> str | None:
    return named.id if isinstance(named, _Customer) else named


_TYPES: dict[str, Callable[[_Event, _Object], Told]] = {
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "payment_intent.succeeded": _intent,
    "payment_intent.payment_failed": _failure,
    "charge.succeeded": _charge,
    "charge.captured": _charge,
    "charge.refunded": _refund,
}
