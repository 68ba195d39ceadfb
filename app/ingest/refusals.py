"""Make a refused event ready for quarantine.

Called by the collection and by replays; the quarantine reads the ids of edited events here.
"""

import msgspec

from app.ingest.event import Arrival
from app.ingest.flush import Refused
from app.ingest.masking import mask
from app.ingest.outcomes import Refusal, Rejected
from app.ingest.steps import identify

MAX_EVENT_ID = 128


class _Identified(msgspec.Struct):
    event_id: str


_decode_identified = msgspec.json.Decoder(_Identified).decode


def refuse(raw: bytes, index: int, refusal: Refusal, arrival: Arrival) -> Refused:
    """Keep a refused event whole but for what is masked, with the id that it would have had."""
    event_id = find_event_id(raw)
    event_uuid, tracked = identify(event_id, index, arrival)
    shown = None if event_id is None else event_id[:MAX_EVENT_ID]
    answer = Rejected(index=index, event_id=shown, code=refusal.code, pointer=refusal.pointer, detail=refusal.detail)
    return Refused(answer=answer, body=mask(raw), event_uuid=event_uuid if tracked else None)


def find_event_id(raw: bytes) -> str | None:
    """Find out a refused event's id, if that much of it can be read and stored."""
    try:
        event_id = _decode_identified(raw).event_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return event_id if "\0" not in event_id else None
