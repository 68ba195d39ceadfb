"""How others call what we have a name for. Pure; used by the dialects."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Raw

from app.ingest.dialects.foreign import (
    Fields,
    amount_of,
    currency_of,
    id_of,
    is_said,
    items_of,
    number_of,
    raw_of,
    text_of,
)
from app.ingest.dialects.writing import Writing
from app.ingest.enrichment.campaigns import read_url
from app.ingest.wire import MAX_LINE

_OURS = {
    "page_view": ("pageview", "page_viewed"),
    "product_view": ("product_viewed", "view_product", "product_detail", "view_item"),
    "add_to_cart": ("product_added", "added_to_cart", "cart_add"),
    "remove_from_cart": ("product_removed", "removed_from_cart", "cart_remove"),
    "add_to_wishlist": ("product_added_to_wishlist", "wishlist_add"),
    "product_review": ("product_reviewed",),
    "checkout_start": ("checkout_started", "begin_checkout", "checkout"),
    "purchase": ("order_completed", "order_complete", "payment_completed"),
    "order_created": ("order_placed",),
    "order_cancelled": ("order_canceled",),
    "refund": ("order_refunded", "refunded"),
    "search": ("products_searched", "product_search"),
    "registration": ("signed_up", "sign_up", "signup", "register"),
    "login": ("signed_in", "logged_in", "sign_in"),
    "scroll_depth": ("scroll",),
}
_BY_THEIRS = {theirs: ours for ours, several in _OURS.items() for theirs in several} | {ours: ours for ours in _OURS}
_GAPS = re.compile(r"[\s-]+")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
Names = Mapping[str, Sequence[str]]
# What a shop says of an order, a product or a search by several names: the first that is there counts.
_IDS: Names = {"order_id": ("order_id", "orderId"), "product_id": ("product_id", "productId")}
_TEXTS: Names = {
    "term": ("term", "query", "search_query", "search_term"),
    "payment_method": ("payment_method",),
}
_NUMBERS: Names = {
    "price": ("price", "product_price"),
    "quantity": ("quantity", "product_quantity"),
}
_ITEMS = ("items", "order_items", "products")
_CURRENCIES = ("currency", "order_currency")
_PAGE: Names = {
    "url": ("url", "page_url"), "path": ("path", "page_path"), "title": ("title", "page_title"),
    "referrer": ("referrer", "referer"),
}  # fmt: skip
PAGE_FIELDS = tuple(name for names in _PAGE.values() for name in names)
# Where something may stand: by the pointer of the place, which is empty or ends with a slash.
Places = Mapping[str, Fields]


def name_of(theirs: str) -> str:
    """Name what happened as we do, if we have a name for it."""
    return _BY_THEIRS.get(_GAPS.sub("_", theirs.strip()).lower(), theirs)


def move(
    writing: Writing,
    places: Places,
    names: Iterable[str],
    ours: str,
    change: Callable[[Raw | None], Raw | None] | None = None,
) -> None:
    """Take the first of these names that says something out of its place, and say it in ours.

    Shape: what `change` makes nothing of is left where it is, unless it is said under our own name.
    """
    expected = None
    for pointer, place in places.items():
        for name in names:
            expected = expected or pointer + name
            value: Raw | None = place.get(name)
            if not is_said(value):
                continue
            changed = value if change is None else change(value)
            if changed is not None or pointer + name == ours:
                del place[name]
                writing.put(ours, value if changed is None else changed, pointer + name)
                return
    if expected is not None:
        writing.put(ours, None, expected)


def move_commerce(writing: Writing, places: Places, amounts: Iterable[str]) -> None:
    """Say what a shop says of an order, a product or a search where we look for it.

    Shape: `amounts` are names of what the whole of it costs. A `value` or a `currency` may be something else to others:
    what is no amount or no currency stays a property, unless it is said under our own name.
    """
    for ours, names in _IDS.items():
        move(writing, places, names, f"properties/{ours}", id_of)
    for ours, names in _TEXTS.items():
        move(writing, places, names, f"properties/{ours}")
    for ours, names in _NUMBERS.items():
        move(writing, places, names, f"properties/{ours}", number_of)
    move(writing, places, _ITEMS, "properties/items", items_of)
    move(writing, places, (*amounts, "amount"), "amount", amount_of)
    move(writing, places, _CURRENCIES, "currency", currency_of)


def move_page(writing: Writing, places: Places) -> None:
    """Say on which page it happened; an address without a host is a path, and may tell of a campaign."""
    for ours, names in _PAGE.items():
        move(writing, places, names, f"page/{ours}")
    page = writing.fields.get("page", {})
    url = text_of(page.get("url")) or ""
    if not url.startswith("/") or len(url) > MAX_LINE:  # what is too long is refused as a URL
        return
    del page["url"]
    source = writing.sources["page/url"]
    if "path" not in page:
        writing.put("page/path", raw_of(_QUERY.sub("", url)), source)
    for name, said in msgspec.structs.asdict(read_url(url)[1]).items():
        writing.put(f"context/utm/{name}", raw_of(said), source)


def move_visitor(writing: Writing, places: Places) -> None:
    """Say who it was and from where, as far as a server may say that of a visitor."""
    for ours in ("event_id", "user_id", "session_id", "visitor_id"):
        move(writing, places, (ours,), ours, id_of)
    move(writing, places, ("ip_address", "ip"), "context/ip")
    move(writing, places, ("user_agent",), "context/user_agent")
