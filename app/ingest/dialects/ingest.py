"""`POST /api/events/ingest`: events of a schema. It renames three fields; all others are as ours, unknown ones too.

What properties say of money is the event's own as well, since it is what counts; the properties stay as they were
sent, because a schema describes them so, and because a repeat at `/api/v1/events` says no more than they do.
"""

from collections.abc import Callable, Iterable

from msgspec import Raw

from app.ingest.commerce import AMOUNTS, CURRENCIES, KINDS
from app.ingest.dialects.dialect import Dialect, Shared
from app.ingest.dialects.foreign import Fields, amount_of, currency_of, fields_of, is_said, raw_of, text_of
from app.ingest.dialects.writing import Writing
from app.ingest.event import Arrival

INGEST_PATH = "/api/events/ingest"
_OURS = {"event_type": "name", "timestamp": "occurred_at", "schema_id": "schema"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


def _translate(given: Fields, arrival: Arrival, _shared: Shared) -> Writing:
    writing = Writing()
    writing.fields = {_OURS.get(name, name): value for name, value in given.items()}
    writing.sources = _THEIRS
    if "schema" in writing.fields:
        writing.fields["schema"] = _schema_name(writing.fields["schema"], arrival)
    if text_of(writing.fields.get("name")) in KINDS:
        writing.derived = _money(writing.fields)
    return writing


def _money(event: Fields) -> Fields:
    """Find what an event's properties say of its amount and currency, where it does not say so itself."""
    said = fields_of(event.get("properties")) or {}
    found = {"amount": _read(said, AMOUNTS, amount_of), "currency": _read(said, CURRENCIES, currency_of)}
    return {name: value for name, value in found.items() if value is not None and not is_said(event.get(name))}


def _read(said: Fields, names: Iterable[str], read: Callable[[Raw | None], Raw | None]) -> Raw | None:
    """Read the first of these names that says something of the kind."""
    readings = (read(said[name]) for name in names if is_said(said.get(name)))
    return next((value for value in readings if value is not None), None)


def _schema_name(value: Raw, arrival: Arrival) -> Raw:
    """Find the name of the schema that an id means; whatever else is said may be a name already."""
    given = (text_of(value) or "").lower()
    found = next((schema.name for schema in arrival.schemas.values() if str(schema.id) == given), None)
    return value if found is None else raw_of(found)


INGEST = Dialect(path=INGEST_PATH, translate=_translate)
