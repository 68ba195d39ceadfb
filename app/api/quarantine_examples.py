"""Examples of the paths that tell of single events, for the API's documentation. Read by `management_examples`."""

import uuid
from datetime import UTC, date, datetime, timedelta

import msgspec

from app.api.examples import Examples
from app.api.pages import Page, PageMeta
from app.api.quarantine import ONE, PATH, Edit
from app.api.quarantine_desk import Purged, PurgeOrder, ReplayAnswer, ReplayOrder
from app.ingest.fate import EventFate, StoredFate
from app.ingest.quarantine import Quarantined, QuarantinedWhole
from app.ingest.replay import STORED, Replayed
from app.ingest.routes import EVENTS_PATH

_AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
_ID = uuid.UUID("019a4930-1a40-7c1e-8f0b-3a9d51c0e6b2")
_SENT = {"event_id": "order-1007", "name": "purchase", "amount": "a lot"}
_REFUSED = Quarantined(
    id=_ID,
    received_at=_AT,
    key_id=uuid.UUID("f3d1f0a2-8a0c-4a8e-bf14-6a1b7b8f2c31"),
    event_id="order-1007",
    event_uuid=uuid.UUID("5f6d1a9e-6e0c-5a60-9b67-6f3c5d0d0c77"),
    code="invalid",
    pointer="/amount",
    detail="Invalid decimal string.",
    body_bytes=63,
    edited_at=None,
    replayed_at=None,
)
_WHOLE = QuarantinedWhole(**msgspec.structs.asdict(_REFUSED), encoding="json", body=_SENT)
_RIGHT = _SENT | {"amount": 49.9}
_REPLAYED = Replayed(id=_ID, outcome=STORED)
_FATE = EventFate(
    event_id="order-1007",
    event_uuid=_REFUSED.event_uuid,
    fate="stored",
    stored=StoredFate(
        received_day=date(2026, 11, 3), flush="402188817730112", repeats=1, conflicts=0,
        last_repeat_at=_AT + timedelta(seconds=4),
    ),
    quarantined=None,
)  # fmt: skip
_ONE = ONE.replace(":uuid", "")

QUARANTINE_EXAMPLES = {
    ("get", EVENTS_PATH + "/{event_id}"): Examples({"200": _FATE}),
    ("get", PATH): Examples({"200": Page(data=[_REFUSED], meta=PageMeta(next=None))}),
    ("get", _ONE): Examples({"200": _WHOLE}),
    ("patch", _ONE): Examples(
        {"200": msgspec.structs.replace(_WHOLE, body=_RIGHT, edited_at=_AT + timedelta(hours=2))},
        body=Edit(event=_RIGHT),
    ),
    ("post", f"{_ONE}/replay"): Examples({"200": _REPLAYED}),
    ("post", f"{PATH}/replay"): Examples(
        {
            "200": ReplayAnswer(
                stored=1, duplicates=0, quarantined=0, gone=0, data=[_REPLAYED], meta=PageMeta(next=None)
            )
        },
        body=ReplayOrder(code="too_old"),
    ),
    ("post", f"{PATH}/purge"): Examples({"200": Purged(12)}, body=PurgeOrder(code="wrong_type")),
}
