"""Commerce facts: what events say of orders, products, carts, payments, searches and registrations, typed. Pure.

Called by the sink with the events that are about to be stored, and by `retelling` with those that are. What a property
does not say rightly, or says too largely for its column, is left out of the facts; the event keeps it.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec
from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import EVENT_COLUMNS, Event
from app.ingest.limits import round_amount
from app.ingest.readings import currency_code

FACT_TYPES = {
    "event_id": "uuid", "line": "int4", "kind": "text", "action": "text", "occurred_at": "timestamptz",
    "order_id": "text", "product_id": "text", "quantity": "numeric", "price": "numeric", "amount": "numeric",
    "currency": "text", "payment_method": "text", "reference": "text", "term": "text", "session_id": "text",
    "visitor_id": "text", "user_id": "text",
}  # fmt: skip
FACT_COLUMNS = tuple(FACT_TYPES)
# Which events are facts, and of which kind; what was done to it comes second.
KINDS = {
    "order_created": ("order", "created"),
    "order_confirmed": ("order", "confirmed"),
    "order_shipped": ("order", "shipped"),
    "order_delivered": ("order", "delivered"),
    "order_cancelled": ("order", "cancelled"),
    "payment_started": ("payment", "started"),
    "payment_failed": ("payment", "failed"),
    "purchase": ("payment", "completed"),
    "refund": ("refund", "refunded"),
    "product_purchase": ("item", "sold"),
    "product_view": ("product", "viewed"),
    "product_review": ("product", "reviewed"),
    "add_to_wishlist": ("product", "wished"),
    "add_to_cart": ("cart", "added"),
    "remove_from_cart": ("cart", "removed"),
    "checkout_start": ("cart", "checkout"),
    "search": ("search", "searched"),
    "registration": ("registration", "registered"),
}
# Which money moved is what the event itself says, with which the dashboards count; properties tell of no other.
_MONEY = "payment"
# Those that list an order's items, and how its lines are told from each other's.
_LISTING = {"purchase": "paid", "order_created": "ordered"}
_ORDERED = frozenset({"order", "refund"})
_OF_PRODUCTS = frozenset({"product", "cart", "item"})
_ITEMS = ("items", "order_items", "products")
AMOUNTS = ("amount", "order_value", "order_total", "total", "revenue", "value")
CURRENCIES = ("currency", "order_currency")
_TERMS = ("term", "query", "search_query")
_REFERENCES = {"refund": ("refund_id",), "payment": ("payment_id", "transaction_id")}
_PROPERTIES_AT = EVENT_COLUMNS.index("properties")
_AMOUNT_AT, _CURRENCY_AT = EVENT_COLUMNS.index("amount"), EVENT_COLUMNS.index("currency")
_ONE = Decimal(1)
# Orders are found by it, and an index row holds no more than 2,704 bytes.
MAX_ORDER_ID = 512
Rows = list[tuple[Any, ...]]


class Telling(NamedTuple):
    """What of a stored event its facts are made of."""

    name: str
    event_id: UUID
    occurred_at: datetime
    session_id: str | None
    visitor_id: str | None
    user_id: str | None
    amount: Decimal | None
    currency: str | None
    properties: str


def fold_commerce(events: Iterable[Event]) -> Rows:
    """Fold events into rows of facts (FACT_COLUMNS), in their order; events of other kinds are passed over."""
    return [fact for event in events if event.wire.name in KINDS for fact in list_facts(_telling(event))]


def _telling(event: Event) -> Telling:
    record = event.record
    return Telling(
        event.wire.name, event.id, event.occurred_at, event.session_id, event.visitor_id, event.user_id,
        record[_AMOUNT_AT], record[_CURRENCY_AT], record[_PROPERTIES_AT],
    )  # fmt: skip


def list_facts(told: Telling) -> Rows:
    """List the facts of one event: what happened, and a line for each item that it lists."""
    said = _decode(told.properties)
    kind, action = KINDS[told.name]
    named = told.currency or currency_code(_first(said, CURRENCIES))
    who = told.session_id, told.visitor_id, told.user_id
    order_id, method = _order_id(said), _text(said.get("payment_method"))
    product_id, quantity, price = _product(said) if kind in _OF_PRODUCTS else (None, None, None)
    amount, currency = told.amount, told.currency if kind == _MONEY else named
    if kind in _ORDERED and amount is None:
        amount = _number(_first(said, AMOUNTS))
    elif kind in _OF_PRODUCTS and amount is None:
        amount = _times(price, quantity)
    if kind == "refund" and amount is not None:
        amount = abs(amount)  # many write what goes back as less than nothing
    reference = _text(_first(said, _REFERENCES.get(kind, ())))
    term = _text(_first(said, _TERMS)) if kind == "search" else None
    facts: Rows = [
        (told.event_id, 0, kind, action, told.occurred_at, order_id, product_id, quantity, price, amount, currency,
         method, reference, term, *who)
    ]  # fmt: skip
    listing = _LISTING.get(told.name)
    for line, item in enumerate(_items(said) if listing is not None else (), start=1):
        product_id, quantity, price = _product(item)
        own = currency_code(_first(item, CURRENCIES)) or named
        facts.append(
            (told.event_id, line, "item", listing, told.occurred_at, order_id, product_id, quantity, price,
             _times(price, quantity), own, None, None, None, *who)
        )  # fmt: skip
    return facts


def _read_float(digits: str) -> Decimal | None:
    try:
        return Decimal(digits)
    except InvalidOperation:  # its exponent is beyond all bounds
        return None


_decode = msgspec.json.Decoder(dict[str, Any], float_hook=_read_float).decode


def _items(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the items of an order, or the one that it names instead."""
    items = _first(said, _ITEMS)
    found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return found or ([said] if said.get("product_id") is not None else [])


def _order_id(said: dict[str, Any]) -> str | None:
    order_id = _text(said.get("order_id"))
    return None if order_id is None or len(order_id) > MAX_ORDER_ID else order_id


def _product(said: dict[str, Any]) -> tuple[str | None, Decimal | None, Decimal | None]:
    """Read which product, how many of it, and at which price; one, if nothing is said of how many."""
    product_id, quantity = _text(said.get("product_id")), _number(said.get("quantity"))
    if product_id is not None and said.get("quantity") is None:
        quantity = _ONE
    return product_id, quantity, _number(said.get("price"))


def _first(said: dict[str, Any], names: Iterable[str]) -> Any:
    return next((said[name] for name in names if said.get(name) not in (None, "")), None)


def _text(value: object) -> str | None:
    """Read an id or a word; a whole number is one, too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _number(value: object) -> Decimal | None:
    """Read a number that numeric(20, 6) holds, also out of a text."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        return round_amount(Decimal(value))
    except InvalidOperation:
        return None


def _times(price: Decimal | None, quantity: Decimal | None) -> Decimal | None:
    return None if price is None or quantity is None else _number(price * quantity)
