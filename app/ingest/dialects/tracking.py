"""`POST /api/v1/analytics/track/event` and `…/track/batch`: web events as the script of before sends them."""

from app.auth.credentials import KEY_FIELDS
from app.ingest.commerce import KINDS
from app.ingest.dialects.dialect import Dialect, Shared
from app.ingest.dialects.foreign import Fields, fields_of, first_of, id_of, is_said, text_of, time_of
from app.ingest.dialects.words import move, move_commerce, move_page, move_visitor, name_of
from app.ingest.dialects.writing import Writing
from app.ingest.event import Arrival

TRACK_EVENT_PATH = "/api/v1/analytics/track/event"
TRACK_BATCH_PATH = "/api/v1/analytics/track/batch"
MAX_BATCH = 100
VITALS = "web_vitals"
_MEASURES = ("lcp", "fid", "cls", "inp")
_READ = (*KEY_FIELDS, "event_type", "event_name", "properties", "timestamp", VITALS)
_PLACE = ("url", "path", "title", "referrer")
_AMOUNTS = ("order_value", "value", "total", "revenue")
# Types that say no more than that something happened; what it was stands in its name, or in a property.
_VAGUE = ("custom", "event", "track", "ecommerce", "conversion", "goal")
_NAMING = ("event_name", "funnel_step", "action")
_PAGE_VIEW, _IDENTIFY, _PERFORMANCE = "page_view", "identify", "performance"


def _translate(given: Fields, _arrival: Arrival, _shared: Shared) -> Writing:
    writing = Writing()
    free = fields_of(given.get("properties")) or {}
    others = {name: value for name, value in given.items() if name not in _READ and is_said(value)}
    name = _put_name(writing, given, free)
    writing.put("occurred_at", time_of(given.get("timestamp")), "timestamp")
    if name == VITALS or is_said(given.get(VITALS)):
        _put_vitals(writing, given, free)
    if name == _IDENTIFY:
        move(writing, {"properties/": free, "": others}, ("user_id",), "user_id", id_of)
    move_visitor(writing, {"": others})
    if name == _PAGE_VIEW:  # its own properties know better: the address bar may be ahead of it
        move_page(writing, {"properties/": free, "": others})
        for said in _PLACE:
            others.pop(said, None)
    else:
        move_page(writing, {"": others})
    if name in KINDS:
        move_commerce(writing, {"": others, "properties/": free}, _AMOUNTS)
    writing.put_free(free, given.get("properties"), "properties", others)
    return writing


def _put_name(writing: Writing, given: Fields, free: Fields) -> str | None:
    """Name it by its type; where that is vague, by its name or by what its properties say of it."""
    said, place = text_of(given.get("event_type")), "event_type"
    if said is None:
        writing.put_name(None, "", place, given.get("event_type"))
        return None
    if said.lower() in _VAGUE:
        told = text_of(first_of([given, free], _NAMING))
        name = name_of(told or said)
        original = said if told is None else told
        if is_said(given.get("event_name")):
            place = "event_name"
    else:
        name, original = name_of(said), said
        writing.put("properties/event_name", given.get("event_name"), "event_name")
    if _is_vitals(said, given, free):
        name = VITALS
    writing.put_name(name, original, place, None)
    return name


def _is_vitals(said: str, given: Fields, free: Fields) -> bool:
    """Tell whether an event is about how fast the page was, and nothing else."""
    if said == _PERFORMANCE:
        return is_said(given.get(VITALS)) or text_of(free.get("metric")) in _MEASURES
    return said == VITALS


def _put_vitals(writing: Writing, given: Fields, free: Fields) -> None:
    """Say how fast the page was, with the properties that the SDK's event has."""
    measured = fields_of(given.get(VITALS)) or {}
    for measure in _MEASURES:
        if is_said(measured.get(measure)):
            writing.put(f"properties/{measure}", measured[measure], f"{VITALS}/{measure}")
    metric = text_of(free.get("metric"))
    if metric in _MEASURES and is_said(free.get("value")):
        del free["metric"]
        writing.put(f"properties/{metric}", free.pop("value"), "properties/value")


TRACK_EVENT = Dialect(path=TRACK_EVENT_PATH, translate=_translate)
TRACK_BATCH = Dialect(path=TRACK_BATCH_PATH, translate=_translate, envelope="events", max_events=MAX_BATCH)
