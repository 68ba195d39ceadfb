"""`POST /api/events/ingest`: events of a schema. It renames three fields; all others are as ours, unknown ones too."""

from msgspec import Raw

from app.ingest.dialects.dialect import Dialect, Shared
from app.ingest.dialects.foreign import Fields, raw_of, text_of
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
    return writing


def _schema_name(value: Raw, arrival: Arrival) -> Raw:
    """Find the name of the schema that an id means; whatever else is said may be a name already."""
    given = (text_of(value) or "").lower()
    found = next((schema.name for schema in arrival.schemas.values() if str(schema.id) == given), None)
    return value if found is None else raw_of(found)


INGEST = Dialect(path=INGEST_PATH, translate=_translate)
