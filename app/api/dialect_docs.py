"""Describe the collection paths that speak in other words: their fields, what they are understood as, examples.

Called by `app.api.collection_docs`. These structs decode nothing: a dialect takes less for granted than they tell.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.ingest.dialects.core import COLLECT_PATH
from app.ingest.dialects.dialect import Dialect
from app.ingest.dialects.ingest import INGEST_PATH
from app.ingest.dialects.segment import (
    ALIAS_PATH,
    BATCH_PATH,
    GROUP_PATH,
    IDENTIFY_PATH,
    PAGE_PATH,
    SCREEN_PATH,
    TRACK_PATH,
)
from app.ingest.dialects.spoken import DIALECTS
from app.ingest.dialects.tracking import MAX_BATCH, TRACK_BATCH_PATH, TRACK_EVENT_PATH

Amount = Annotated[float | str | None, Meta(description="A number; as text it keeps every digit.")]
AnyId = Annotated[str | int | None, Meta(description="A text, or a whole number.")]
Moment = Annotated[
    datetime | float | None,
    Meta(description="RFC 3339, of UTC if it has no offset; or seconds or milliseconds since 1970. Left out: now."),
]
OfVisitor = Annotated[str | None, Meta(description="Believed of servers alone; used and forgotten.")]


class IngestedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a schema. Only `event_type` is required."""

    event_type: Annotated[str, Meta(min_length=1, max_length=128)]
    schema_id: str | None = None
    timestamp: Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset; left out: now.")] | None = None
    event_id: Annotated[str, Meta(description="Any string; a repeat of it is a duplicate.")] | None = None
    user_id: str | None = None
    session_id: str | None = None
    properties: dict[str, Any] = {}


class CollectedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a service tells of a user, a product or an order. Only `event_type` is required."""

    event_type: Annotated[str, Meta(min_length=1, max_length=128)]
    category: Annotated[str | None, Meta(description="`user`, `product` or `order`.")] = "user"
    event_id: str | None = None
    timestamp: Moment = None
    user_id: AnyId = None
    session_id: AnyId = None
    product_id: AnyId = None
    quantity: Amount = None
    price: Amount = None
    order_id: AnyId = None
    order_total: Amount = None
    currency: str | None = None
    items_count: int | None = None
    payment_method: str | None = None
    data: dict[str, Any] = {}
    ip_address: OfVisitor = None
    user_agent: OfVisitor = None


class WebVitals(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a page was."""

    lcp: float | None = None
    fid: float | None = None
    cls: float | None = None
    inp: float | None = None


class TrackedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A web event. Only `event_type` is required."""

    event_type: Annotated[str, Meta(min_length=1, max_length=128)]
    event_name: str | None = None
    event_id: str | None = None
    url: str | None = None
    path: str | None = None
    title: str | None = None
    referrer: str | None = None
    session_id: AnyId = None
    visitor_id: AnyId = None
    user_id: AnyId = None
    timestamp: Moment = None
    properties: dict[str, Any] = {}
    web_vitals: WebVitals | None = None
    product_id: AnyId = None
    order_id: AnyId = None
    order_value: Amount = None
    order_currency: str | None = None
    order_items: list[dict[str, Any]] = []
    user_agent: OfVisitor = None


class SegmentMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message as Segment's libraries send it; what is not listed is passed over."""

    type: Annotated[
        str | None,
        Meta(description="In a batch: `track`, `page`, `screen`, `identify`, `group` or `alias`."),
    ] = None
    event: Annotated[str | None, Meta(description="Of `track`: what happened.")] = None
    message_id: Annotated[str | None, Meta(description="A repeat of it is a duplicate.")] = None
    user_id: AnyId = None
    anonymous_id: AnyId = None
    previous_id: AnyId = None
    group_id: AnyId = None
    name: str | None = None
    category: str | None = None
    timestamp: Moment = None
    sent_at: Annotated[Moment, Meta(description="The sender's clock, by which its times are put right.")] = None
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    context: Annotated[
        dict[str, Any],
        Meta(description="`page`, `campaign`, `os.name`, `sessionId`; of servers also `ip` and `userAgent`."),
    ] = {}


class DescribedDialect(msgspec.Struct, frozen=True, kw_only=True):
    """A path in the document."""

    dialect: Dialect
    name: str
    summary: str
    description: str
    event: type[msgspec.Struct]
    examples: dict[str, Any]


_INGESTED = {
    "event_type": "purchase",
    "properties": {"order_id": "order-1007", "total": 49.9, "currency": "EUR"},
    "user_id": "u-88",
    "session_id": "w-19b2",
    "timestamp": "2026-11-03T10:20:00Z",
}
_VIEWED = {
    "category": "user",
    "event_type": "page_view",
    "user_id": "u-88",
    "session_id": "w-19b2",
    "data": {"page_url": "/products/123", "page_title": "Oak table"},
    "ip_address": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
}
_PAID = {
    "category": "order",
    "event_type": "payment_completed",
    "order_id": "order-1007",
    "user_id": 88,
    "order_total": "49.90",
    "currency": "EUR",
    "payment_method": "credit_card",
    "data": {"items": [{"product_id": "p-3", "quantity": 2, "price": "24.95"}]},
}
_TRACKED = {
    "event_type": "page_view",
    "url": "https://cedar.example/tables?utm_source=letter",
    "title": "Tables",
    "session_id": "w-19b2",
    "visitor_id": "v-5521",
    "timestamp": "2026-11-03T10:15:30Z",
}
_BOUGHT = {
    "event_type": "ecommerce",
    "event_name": "purchase",
    "url": "https://cedar.example/checkout",
    "session_id": "w-19b2",
    "visitor_id": "v-5521",
    "order_id": "order-1007",
    "order_value": 49.9,
    "order_currency": "EUR",
    "order_items": [{"product_id": "p-3", "quantity": 2, "price": 24.95}],
}
_SHARED = {"userId": "u-88", "timestamp": "2026-11-03T10:15:30Z"}
_TRACK = _SHARED | {
    "messageId": "m-2041",
    "event": "Order Completed",
    "properties": {
        "order_id": "order-1007",
        "total": 49.9,
        "currency": "EUR",
        "products": [{"product_id": "p-3", "quantity": 2, "price": 24.95}],
    },
    "context": {"ip": "203.0.113.7", "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0)"},
    "sentAt": "2026-11-03T10:15:31Z",
}
_PAGE = _SHARED | {"messageId": "m-2042", "name": "Tables", "properties": {"url": "https://cedar.example/tables"}}
_IDENTIFY = _SHARED | {"messageId": "m-2043", "anonymousId": "v-5521", "traits": {"plan": "gold"}}
_SCREEN = _SHARED | {"messageId": "m-2044", "name": "Tables", "properties": {"size": "small"}}
_GROUP = _SHARED | {"messageId": "m-2045", "groupId": "g-7", "traits": {"staff": 12}}
_ALIAS = _SHARED | {"messageId": "m-2046", "previousId": "v-5521"}
_BATCH = {
    "batch": [
        {"type": "identify"} | _IDENTIFY | {"messageId": "m-2047"},
        {"type": "track"} | _TRACK | {"messageId": "m-2048"},
    ],
    "sentAt": "2026-11-03T10:15:31Z",
}
_LIKE = "The answer is that of `POST /api/v1/events`, with pointers in these words; keys and limits are the same."
_INGESTING = """The same as `POST /api/v1/events` in other words: `event_type` is its `name`, `timestamp` its
`occurred_at`, and `schema_id` its `schema`: the schema's id, its name, or `name@version`. Whatever else an event may
say there it may say here, and the answer is the same, with pointers in these words.

Where an event of commerce (`purchase`, `refund`, …) says no `amount` and `currency` itself, they are read in its
properties: `amount`, `order_value`, `order_total`, `total`, `revenue` or `value`, and `currency` or `order_currency`.
The properties stay as they were sent, and are held to the schema as such."""
_COLLECTING = f"""What the services of a shop tell, one event or an array (also with a slash at the end). {_LIKE}

Category and type become one name: `user/page_view`, `product_view`, `search`, `add_to_cart`, `checkout_start`,
`checkout_complete`, `login` and `registration` keep theirs, but a `checkout_complete` with an `order_id` is a
`purchase`; `product/view` is `product_view`, `cart_add` `add_to_cart`, `cart_remove` `remove_from_cart`,
`wishlist_add` `add_to_wishlist`, `review` `product_review`, `purchase` `product_purchase` (one product of an order);
`order/payment_completed` is `purchase`, `refunded` `refund`, `created`, `confirmed`, `shipped`, `delivered` and
`cancelled` `order_…`. Other types are called `<category>_<type>`. What it was called stays in
`properties.original_type`. `data` and all other fields become `properties`; pages, ids, `currency` and `items` are
found in `data`, too."""
_TRACKING = f"""Web events as sites send them that had a script with a `data-api-url` ending in `/api/v1/analytics`.
{_LIKE}

Names become ours (`pageview` is `page_view`); of the types `custom`, `event`, `track`, `ecommerce`, `conversion` and
`goal` the name is `event_name`, or `funnel_step` or `action` of the properties. `order_value` and `order_currency` are
the event's amount. `web_vitals` become the properties `lcp`, `fid`, `cls` and `inp`, and an event of type `web_vitals`
or `performance` with them is the `web_vitals` of the SDK."""
_TRACKING_BATCH = (
    f"""Up to {MAX_BATCH} web events: `{{"events": […]}}`, as that script sends them, or an array. {_TRACKING}"""
)
_SEGMENT = f"""Takes what Segment's libraries send when they are given Grove's address, and a key of Grove's as their
write key (the user name of `Authorization: Basic`, or `writeKey` in the body). {_LIKE} A success is
**200** here, because some of these libraries take nothing else for one.

`messageId` is the `event_id`, `anonymousId` the `visitor_id`, and times are put right by what `sentAt` tells of the
sender's clock. A `page` is a `page_view`, a `screen` a `screen_view`; events of an online shop (`Product Viewed`,
`Order Completed`, …) get our names and keep theirs in `properties.original_type`; `total`, else `revenue` or `value`
of their properties is the amount of these. `identify` tells who a visitor is, and so does `alias` of its `previousId`;
`group` is stored with its `group_id` and traits. Of the context, page, campaign, system, `sessionId`, `ip` and
`userAgent` are read, and nothing else is kept; a campaign's `term` and `content` are properties then, `utm_term` and
`utm_content`.

The same is taken at the paths that libraries use instead: `/v1/import` and `/v1/b` of batches, and `/v1/t`, `/v1/p`,
`/v1/s`, `/v1/i`, `/v1/g` and `/v1/a` of single messages."""


def _described(path: str, name: str, summary: str, text: str, event: type[msgspec.Struct], **examples: Any) -> Any:
    shown = {key: {"summary": key.replace("_", " ").capitalize(), "value": value} for key, value in examples.items()}
    return DescribedDialect(
        dialect=DIALECTS[path], name=name, summary=summary, description=text, event=event, examples=shown
    )


DESCRIBED: tuple[DescribedDialect, ...] = (
    _described(
        INGEST_PATH, "ingestEvents", "Send events of a schema", _INGESTING, IngestedEvent,
        purchase=_INGESTED, purchase_of_a_schema={"schema_id": "shop"} | _INGESTED,
    ),
    _described(
        COLLECT_PATH, "collectFromServices", "Send what services tell", _COLLECTING, CollectedEvent,
        page_view=_VIEWED, payment=_PAID, batch=[_VIEWED, _PAID],
    ),
    _described(
        TRACK_EVENT_PATH, "trackEvent", "Send a web event", _TRACKING, TrackedEvent,
        page_view=_TRACKED, purchase=_BOUGHT,
    ),
    _described(
        TRACK_BATCH_PATH, "trackBatch", "Send web events", _TRACKING_BATCH, TrackedEvent,
        events={"events": [_TRACKED, _BOUGHT]}, array=[_TRACKED],
    ),
    _described(BATCH_PATH, "segmentBatch", "Send Segment messages", _SEGMENT, SegmentMessage, batch=_BATCH),
    _described(TRACK_PATH, "segmentTrack", "Send a Segment `track`", _SEGMENT, SegmentMessage, track=_TRACK),
    _described(PAGE_PATH, "segmentPage", "Send a Segment `page`", _SEGMENT, SegmentMessage, page=_PAGE),
    _described(
        IDENTIFY_PATH, "segmentIdentify", "Send a Segment `identify`", _SEGMENT, SegmentMessage, identify=_IDENTIFY
    ),
    _described(SCREEN_PATH, "segmentScreen", "Send a Segment `screen`", _SEGMENT, SegmentMessage, screen=_SCREEN),
    _described(GROUP_PATH, "segmentGroup", "Send a Segment `group`", _SEGMENT, SegmentMessage, group=_GROUP),
    _described(ALIAS_PATH, "segmentAlias", "Send a Segment `alias`", _SEGMENT, SegmentMessage, alias=_ALIAS),
)  # fmt: skip
