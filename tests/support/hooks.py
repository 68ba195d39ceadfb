"""What services send to webhooks, written after their documentation, and how they sign it."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any

import msgspec

AT = 1_793_700_000  # 2026-11-03T10:00:00Z


def stripe_event(kind: str, told: dict[str, Any], *, number: int = 1, **more: Any) -> dict[str, Any]:
    """Write an event of Stripe."""
    data = {"object": told} | ({"previous_attributes": more.pop("before")} if "before" in more else {})
    return {
        "id": f"evt_{number}", "object": "event", "api_version": "2025-09-30.clover", "created": AT, "type": kind,
        "livemode": True, "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None}, "data": data,
    } | more  # fmt: skip


def intent(**more: Any) -> dict[str, Any]:
    """Write a payment intent of Stripe."""
    return {
        "id": "pi_3P", "object": "payment_intent", "amount": 4990, "amount_received": 4990, "currency": "eur",
        "customer": "cus_9", "metadata": {"order_id": "C-1007"}, "receipt_email": "ana@maple.example",
        "status": "succeeded", "latest_charge": "ch_3P", "livemode": True,
    } | more  # fmt: skip


def checkout(**more: Any) -> dict[str, Any]:
    """Write a checkout session of Stripe."""
    return {
        "id": "cs_live_a1", "object": "checkout.session", "amount_subtotal": 4990, "amount_total": 4990,
        "client_reference_id": "cart-7", "currency": "eur", "customer": None, "metadata": {}, "mode": "payment",
        "customer_details": {"email": "ana@maple.example", "name": "Ana Silva"}, "payment_intent": "pi_3P",
        "payment_status": "paid", "status": "complete",
    } | more  # fmt: skip


def charge(**more: Any) -> dict[str, Any]:
    """Write a charge of Stripe."""
    return {
        "id": "ch_3P", "object": "charge", "amount": 4990, "amount_captured": 4990, "amount_refunded": 0,
        "captured": True, "currency": "eur", "customer": "cus_9", "metadata": {}, "payment_intent": "pi_3P",
        "billing_details": {"email": "ana@maple.example"}, "refunded": False, "status": "succeeded",
    } | more  # fmt: skip


def order(**more: Any) -> dict[str, Any]:
    """Write an order of Shopify."""
    line = {
        "id": 1, "product_id": 632910392, "variant_id": 808950810, "sku": "IPOD2008PINK", "title": "Oak stool",
        "quantity": 2, "price": "89.00", "total_discount": "0.00", "properties": [],
    }  # fmt: skip
    return {
        "id": 820982911946154508, "admin_graphql_api_id": "gid://shopify/Order/820982911946154508", "name": "#1001",
        "email": "ana@maple.example", "created_at": "2026-11-03T10:58:00+01:00", "currency": "usd",
        "updated_at": "2026-11-03T10:59:00+01:00", "processed_at": "2026-11-03T10:58:00+01:00", "cancelled_at": None,
        "financial_status": "paid", "order_number": 1001, "token": "b1946ac9", "test": False, "total_price": "178.00",
        "fulfillment_status": None,
        "customer": {"id": 115310627314723954, "email": "ana@maple.example"}, "line_items": [line],
        "shipping_address": {"name": "Ana Silva", "city": "Paris"},
    } | more  # fmt: skip


def begun(**more: Any) -> dict[str, Any]:
    """Write a checkout of Shopify."""
    theirs = {"financial_status", "order_number", "processed_at", "cancelled_at", "admin_graphql_api_id"}
    shared = {name: value for name, value in order().items() if name not in theirs}
    return shared | {"abandoned_checkout_url": "https://maple.example/checkouts/ac/b1946ac9"} | more


def person(**more: Any) -> dict[str, Any]:
    """Write a customer of Shopify."""
    return {
        "id": 7, "email": "ana@maple.example", "created_at": "2026-11-03T10:00:00Z", "state": "disabled",
        "admin_graphql_api_id": "gid://shopify/Customer/7", "updated_at": "2026-11-03T10:00:00Z", "addresses": [],
    } | more  # fmt: skip


def refund(**more: Any) -> dict[str, Any]:
    """Write a refund of Shopify."""
    paid = {"id": 1, "amount": "89.00", "currency": "USD", "kind": "refund", "status": "success", "test": False}
    return {
        "id": 890088186047892319, "order_id": 820982911946154508, "created_at": "2026-11-03T11:00:00+01:00",
        "note": "Too small", "transactions": [paid], "refund_line_items": [], "order_adjustments": [],
    } | more  # fmt: skip


def message(**more: Any) -> dict[str, Any]:
    """Write a message of Chatwoot."""
    return {
        "event": "message_created", "id": 41, "content": "Do you open on Saturday?", "content_type": "text",
        "content_attributes": {}, "message_type": "incoming", "private": False, "source_id": None,
        "created_at": "2026-11-03T10:00:00.123Z", "inbox": {"id": 3, "name": "Site"},
        "sender": {"id": 5, "name": "Ana", "email": None, "type": "contact"}, "account": {"id": 1, "name": "Maple"},
        "conversation": {"id": 12, "status": "open", "channel": "Channel::WebWidget"},
    } | more  # fmt: skip


def conversation(event: str, **more: Any) -> dict[str, Any]:
    """Write what Chatwoot says of a conversation."""
    return {
        "event": event, "id": 12, "inbox_id": 3, "status": "pending", "channel": "Channel::WebWidget",
        "contact_inbox": {"id": 8, "source_id": "8d0f"}, "messages": [], "created_at": AT, "updated_at": AT + 5.25,
        "timestamp": AT, "meta": {"sender": {"id": 5, "name": "Ana", "type": "contact"}, "assignee": None},
    } | more  # fmt: skip


def places(value: Any) -> list[list[Any]]:
    """List the ways to every part of a value."""
    found: list[list[Any]] = [[]]
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        found += [[key, *way] for way in places(part)]
    return found


def changed(value: Any, way: list[Any], other: Any) -> Any:
    """Put something else in one place."""
    if not way:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = changed(copy[way[0]], way[1:], other)
    return copy


def sign(kind: str, secret: str, body: bytes, at: datetime, *, message_id: str = "msg_1") -> dict[str, str]:
    """Sign a body as a service does; generic is Standard Webhooks."""
    time = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_")) if kind == "generic" else secret.encode()

    def digest(signed: bytes) -> bytes:
        return hmac.digest(key, signed, hashlib.sha256)

    timed = digest(f"{time}.".encode() + body)
    match kind:
        case "stripe":
            return {"Stripe-Signature": f"t={time},v1={timed.hex()}"}
        case "shopify":
            return {"X-Shopify-Hmac-Sha256": base64.b64encode(digest(body)).decode()}
        case "chatwoot":
            return {"X-Chatwoot-Signature": f"sha256={timed.hex()}", "X-Chatwoot-Timestamp": time}
    signed = base64.b64encode(digest(f"{message_id}.{time}.".encode() + body)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": time, "webhook-signature": f"v1,{signed}"}


def encode(payload: Any) -> bytes:
    """Write a body."""
    return msgspec.json.encode(payload)
