"""`POST /api/v1/core/collect/`: what services of a shop tell of users, products and orders."""

from app.auth.credentials import KEY_FIELDS
from app.ingest.commerce import KINDS
from app.ingest.dialects.dialect import Dialect, Shared
from app.ingest.dialects.foreign import Fields, fields_of, is_said, text_of, time_of
from app.ingest.dialects.words import Places, move_commerce, move_page, move_visitor, name_of
from app.ingest.dialects.writing import Writing
from app.ingest.event import Arrival

COLLECT_PATH = "/api/v1/core/collect"
_COMPLETED = "checkout_complete"
# By category and type; a type that is not here is called as it is, with its category in front unless that is `user`.
NAMES = {
    ("user", "page_view"): "page_view",
    ("user", "product_view"): "product_view",
    ("user", "search"): "search",
    ("user", "add_to_cart"): "add_to_cart",
    ("user", "checkout_start"): "checkout_start",
    ("user", "checkout_complete"): _COMPLETED,
    ("user", "login"): "login",
    ("user", "registration"): "registration",
    ("product", "view"): "product_view",
    ("product", "purchase"): "product_purchase",
    ("product", "cart_add"): "add_to_cart",
    ("product", "cart_remove"): "remove_from_cart",
    ("product", "wishlist_add"): "add_to_wishlist",
    ("product", "review"): "product_review",
    ("order", "created"): "order_created",
    ("order", "payment_started"): "payment_started",
    ("order", "payment_completed"): "purchase",
    ("order", "payment_failed"): "payment_failed",
    ("order", "confirmed"): "order_confirmed",
    ("order", "shipped"): "order_shipped",
    ("order", "delivered"): "order_delivered",
    ("order", "cancelled"): "order_cancelled",
    ("order", "refunded"): "refund",
}
_OF_COMMERCE = ("product", "order")
_AMOUNTS = ("order_total", "total", "order_value")
_READ = (*KEY_FIELDS, "category", "event_type", "data", "timestamp")


def _translate(given: Fields, _arrival: Arrival, _shared: Shared) -> Writing:
    writing = Writing()
    data = fields_of(given.get("data")) or {}
    others = {name: value for name, value in given.items() if name not in _READ and is_said(value)}
    places = {"": others, "data/": data}
    writing.put("category", given.get("category"), "category")
    writing.put("occurred_at", time_of(given.get("timestamp")), "timestamp")
    move_visitor(writing, places)
    move_page(writing, places)
    _put_name(writing, given, places)
    writing.put_free(data, given.get("data"), "data", others)
    return writing


def _put_name(writing: Writing, given: Fields, places: Places) -> None:
    """Name it by category and type, and say what of commerce belongs to that."""
    said, category = text_of(given.get("event_type")), text_of(given.get("category")) or "user"
    name = None if said is None else NAMES.get((category, said))
    if said is not None and name is None:
        name = name_of(said) if category == "user" else f"{category}_{said}"
    if category in _OF_COMMERCE or name in KINDS or name == _COMPLETED:
        move_commerce(writing, places, _AMOUNTS)
    if name == _COMPLETED and "order_id" in writing.fields.get("properties", {}):
        name = "purchase"  # said of an order, it is the same as its payment, and counts once with it
    writing.put_name(name, said or "", "event_type", given.get("event_type"))


CORE = Dialect(path=COLLECT_PATH, translate=_translate)
