"""Examples of the paths of adaptors, for the API's documentation. Read by `management_examples`."""

import uuid
from datetime import UTC, datetime, timedelta

from app.api.adaptor_desk import ShownAdaptor
from app.api.adaptors import ONE, PATH, AdaptorRotation
from app.api.examples import Examples
from app.api.pages import Page, PageMeta
from app.ingest.other_origins import OtherOrigins
from app.ingest.senders import RefusedEvent, Sending, SentEvents
from provisioning.adaptors.requests import AdaptorRequest, SelectorRule, TrackingRules

_AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
_RULES = TrackingRules(
    track_scroll=False,
    selectors=[SelectorRule(selector=".product-card", event="product_view", properties={"price": "number"})],
)
_WANTED = AdaptorRequest(name="web shop", website_url="https://www.maple.example/", tracking_rules=_RULES)
_TAG = "https://grove.example/tag/Zk3TqW8pLr5XvN2mYc7B.js"
_SHOWN = ShownAdaptor(
    id=uuid.UUID("9a1f5b62-6d1c-4f57-8e1e-0c5b2f7a4d33"),
    name=_WANTED.name,
    schema_id=None,
    website_url=_WANTED.website_url,
    origins=["https://www.maple.example"],
    privacy=_WANTED.privacy,
    tracking_rules=_RULES,
    script=None,
    container_id="Zk3TqW8pLr5XvN2mYc7B",
    key_id=uuid.UUID("f3d1f0a2-8a0c-4a8e-bf14-6a1b7b8f2c31"),
    created_at=_AT,
    updated_at=_AT,
    tag_url=_TAG,
    snippet=f'<script async src="{_TAG}"></script>',
)
_SENDING = Sending(
    sending=True,
    since=_AT,
    last_received_at=_AT + timedelta(hours=1),
    received=42,
    outcomes={"quarantined": 1, "stored": 41},
    events=[SentEvents(name="page_view", count=41, last_received_at=_AT + timedelta(hours=1))],
    refused=[
        RefusedEvent(received_at=_AT, code="wrong_type", pointer="/properties/price", detail="Expected `number`.")
    ],
    other_origins=OtherOrigins(count=3, last_at=_AT, last_origin="https://maple.example"),
)
_ID = ONE.replace(":uuid", "")

ADAPTOR_EXAMPLES: dict[tuple[str, str], Examples] = {
    ("post", PATH): Examples({"201": _SHOWN}, body=_WANTED),
    ("get", PATH): Examples({"200": Page(data=[_SHOWN], meta=PageMeta(next=None))}),
    ("get", _ID): Examples({"200": _SHOWN}),
    ("put", _ID): Examples({"200": _SHOWN}, body=_WANTED),
    ("post", f"{_ID}/rotate"): Examples({"201": _SHOWN}, body=AdaptorRotation(overlap_s=86_400)),
    ("get", f"{_ID}/check"): Examples({"200": _SENDING}),
}
