"""Paths that say the same in other words: each event becomes one of ours before its steps, and answers speak its words.

Called by the collection routes. A dialect renames; what is wrong with an event is found by the steps, for all alike.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from app.ingest.fate import DebugAnswer
from app.ingest.outcomes import IngestAnswer
from tenants.placement import TenantContext

INGEST_PATH = "/api/events/ingest"
_split = msgspec.json.Decoder(dict[str, Raw]).decode
_text = msgspec.json.Decoder(str).decode
_join = msgspec.json.Encoder().encode
Translate = Callable[[bytes | Raw], bytes | Raw]


class Dialect(msgspec.Struct, frozen=True):
    """How a path calls what we call otherwise.

    Shape: `path` is where it is spoken; `names` are theirs, by ours; `values` change what is said under one of ours.
    """

    path: str
    names: Mapping[str, str]
    values: Mapping[str, Callable[[Raw, TenantContext], Raw]]

    def translate(self, raw: bytes | Raw, client: TenantContext) -> bytes | Raw:
        """Write an event in our words; what is no object is left to the steps to refuse."""
        try:
            given = _split(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return raw
        said = {theirs: ours for ours, theirs in self.names.items()}
        event = {said.get(name, name): value for name, value in given.items()}
        for name, change in self.values.items():
            if name in event:
                event[name] = change(event[name], client)
        return _join(event)

    def tell(self, answer: IngestAnswer) -> IngestAnswer:
        """Write the pointers of an answer in their words."""
        rejected = [msgspec.structs.replace(each, pointer=self._pointer(each.pointer)) for each in answer.rejected]
        return msgspec.structs.replace(answer, rejected=rejected)

    def foretell(self, answer: DebugAnswer) -> DebugAnswer:
        """Do the same with what would become of events."""
        events = [msgspec.structs.replace(each, pointer=self._pointer(each.pointer)) for each in answer.events]
        return msgspec.structs.replace(answer, events=events)

    def _pointer(self, pointer: str | None) -> Any:
        if pointer is None:
            return None
        first, slash, rest = pointer.removeprefix("/").partition("/")
        return f"/{self.names[first]}{slash}{rest}" if first in self.names else pointer


def _schema_name(value: Raw, client: TenantContext) -> Raw:
    """Find the name of the schema that an id means; whatever else is said may be a name already."""
    try:
        given = _text(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return value
    found = next((schema.name for schema in client.schemas.values() if str(schema.id) == given.lower()), None)
    return value if found is None else Raw(_join(found))


DIALECTS: Mapping[str, Dialect] = {
    dialect.path: dialect
    for dialect in (
        Dialect(
            INGEST_PATH,
            {"name": "event_type", "occurred_at": "timestamp", "schema": "schema_id"},
            {"schema": _schema_name},
        ),
    )
}


def find_dialect(path: str) -> Dialect | None:
    """Find the dialect that is spoken at a path, however many slashes it was sent with; None for our own words."""
    return DIALECTS.get(path) or DIALECTS.get("/" + "/".join(filter(None, path.split("/"))))
