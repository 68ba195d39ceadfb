"""Examples of the paths of webhook sources, for the API's documentation. Read by `management_examples`."""

import uuid
from datetime import UTC, datetime

import msgspec

from app.api.examples import Examples
from app.api.pages import Page, PageMeta
from app.api.source_desk import ShownSource
from app.api.source_probe import TriedDelivery, TriedEvent, TryDelivery
from app.api.sources import ONE, PATH
from app.ingest.senders import Sending, SentEvents
from provisioning.hooks.requests import Mapping, SecretChange, SourceChange, SourceRequest

_AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
_SOURCE_ID = uuid.UUID("0f8b9a3e-7c2d-4a51-9a2b-3c6d8e1f2a47")
_MAPPING = Mapping(
    fields={"name": "/type", "occurred_at": "/sent_at", "user_id": "/account", "properties.plan": "/data/plan"},
    names={"plan.changed": "upgrade"},
)
_SHOWN = ShownSource(
    id=_SOURCE_ID,
    kind="generic",
    name="billing",
    accept_test=False,
    signature=None,
    mapping=_MAPPING,
    has_secret=True,
    past_until=None,
    created_at=_AT,
    updated_at=_AT,
    url=f"https://grove.example/hooks/{_SOURCE_ID}",
)
_MADE = msgspec.structs.replace(_SHOWN, secret="whsec_…")  # noqa: S106 - an example
_EVENT_ID = "6b0d3a52-8f0e-5c1b-9a41-2f7c8d3e5b90"
_TRIED = TriedDelivery(
    events=[
        TriedEvent(
            event={"name": "upgrade", "user_id": "u-88", "properties": {"plan": "team"}, "event_id": _EVENT_ID},
            outcome="stored",
            code=None,
            pointer=None,
            detail=None,
        )
    ]
)
_SENDING = Sending(
    sending=True,
    since=_AT,
    last_received_at=_AT,
    received=8,
    outcomes={"duplicate": 1, "filtered": 3, "stored": 4},
    events=[SentEvents(name="upgrade", count=4, last_received_at=_AT)],
    refused=[],
)
_TRY = TryDelivery(body={"type": "plan.changed", "account": "u-88", "data": {"plan": "team"}})
_ID = ONE.replace(":uuid", "")

SOURCE_EXAMPLES: dict[tuple[str, str], Examples] = {
    ("post", PATH): Examples({"201": _MADE}, body=SourceRequest(kind="generic", name="billing", mapping=_MAPPING)),
    ("get", PATH): Examples({"200": Page(data=[_SHOWN], meta=PageMeta(next=None))}),
    ("get", _ID): Examples({"200": _SHOWN}),
    ("put", _ID): Examples({"200": _SHOWN}, body=SourceChange(name="billing", mapping=_MAPPING)),
    ("post", f"{_ID}/rotate"): Examples({"201": _MADE}, body=SecretChange(overlap_s=3_600)),
    ("get", f"{_ID}/check"): Examples({"200": _SENDING}),
    ("post", f"{_ID}/try"): Examples({"200": _TRIED}, body=_TRY),
}
