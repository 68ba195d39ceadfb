"""Events that nobody would send, and valid ones that were spoilt, for every path that takes events.

Strategies for Hypothesis; `VALID` makes an event of a path, under an id.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from app.ingest.dialects.core import COLLECT_PATH
from app.ingest.dialects.ingest import INGEST_PATH
from app.ingest.dialects.segment import BATCH_PATH, IDENTIFY_PATH, PAGE_PATH, TRACK_PATH
from app.ingest.dialects.tracking import TRACK_BATCH_PATH, TRACK_EVENT_PATH
from app.ingest.routes import EVENTS_PATH

Event = dict[str, Any]


def dump(value: object) -> bytes:
    """Write JSON, of halves of surrogate pairs, too."""
    return json.dumps(value).encode()


def _ours(**said: Any) -> Callable[[str], Event]:
    return lambda event_id: {"event_id": event_id} | said


def _segment(**said: Any) -> Callable[[str], Event]:
    return lambda event_id: {"messageId": event_id, "userId": "u-1", "properties": {"price": 1}} | said


VALID: dict[str, Callable[[str], Event]] = {
    EVENTS_PATH: _ours(name="purchase", amount=5, properties={"items": [{}], "order_id": "o"}),
    INGEST_PATH: _ours(event_type="page_view", properties={"a": [1]}),
    COLLECT_PATH: _ours(
        category="order", event_type="payment_completed", order_id=7, order_total="5", ip_address="10.0.0.1",
        data={"items": [{"id": 1, "price": "2"}], "currency": "eur", "page_url": "/x"},
    ),
    TRACK_EVENT_PATH: _ours(
        event_type="ecommerce", url="https://a.example/", timestamp=None, web_vitals={"lcp": 1}, order_items=[{}],
        properties={"funnel_step": "purchase", "order_value": 3},
    ),
    TRACK_BATCH_PATH: _ours(event_type="performance", properties={"metric": "lcp", "value": 1}),
    BATCH_PATH: _segment(type="track", event="Order Completed", context={"page": {"url": "https://a.example/"}}),
    TRACK_PATH: _segment(event="Product Viewed", context={"ip": "10.0.0.1", "campaign": {"name": "x"}}),
    PAGE_PATH: _segment(name="Home", context={"userAgent": "Firefox/130.0", "os": {"name": "X"}}),
    IDENTIFY_PATH: _segment(traits={"plan": "gold"}, anonymousId="a-1"),
}  # fmt: skip
FIELDS = sorted(
    {name for make in VALID.values() for name in make("")}
    | {"api_key", "event_name", "sentAt", "currency", "timestamp"}
)
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
_ODD = st.sampled_from(
    ["", "\0", "page_view", "chat_message", "2026-02-30", "9999-12-31T23:59:59-23:59", "1e400", 10**40, -1, 1e308, 0.1]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | _ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | TEXT, inner, max_size=4),
    max_leaves=8,
)
RAW = st.sampled_from(
    [
        b"[" * 3000 + b"]" * 3000, b'{"event_type":' * 2000 + b"1" + b"}" * 2000, b'"\xff"', b'{"event":"\xff"}',
        b"1e999",
        b'{"name":"\\ud800","event":"\\ud800"}', b'{"\\ud800":1}', b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"' + b"a" * 200_000 + b'"}', b'{"properties":{"\\u0000":1}}',
    ]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, make: Callable[[str], Event]) -> Event:
    """Draw a valid event of which some is something else, or missing."""
    event = make(f"mutated-{uuid.uuid4()}")
    for name in draw(st.lists(st.sampled_from(sorted(event)) | st.sampled_from(FIELDS), min_size=1, max_size=3)):
        if draw(st.booleans()) or not isinstance(event.get(name), dict):
            event[name] = draw(JSON)
        else:
            event[name] = event[name] | draw(st.dictionaries(st.sampled_from([*event[name], "currency", "x"]), JSON))
    return event
