"""How a path that says the same in other words is understood: its body, its events, and where each word was found.

Called by the collection routes. What is wrong with an event is found by the steps, for all alike; their pointers are
told in the words of the path.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec
from msgspec import Raw

from app.ingest.dialects.foreign import Fields, fields_of, raw_of, read_time, shift_time, time_of
from app.ingest.dialects.writing import Writing
from app.ingest.event import Arrival
from app.ingest.fate import DebugAnswer
from app.ingest.outcomes import IngestAnswer
from app.ingest.splitting import MAX_EVENTS, split_envelope, split_events
from tenants.errors import InputRefused
from tenants.keys import KeyKind

MAX_SHARED_BYTES = 32_768
# So much of it may become part of every event.
MAX_REPEATED_BYTES = 8_192
Sources = Mapping[str, str]
# Other kinds are secrets, which belong into a header.
BODY_KEYS = frozenset({KeyKind.BROWSER})
# Objects that all events of a body share, already split, by the names that a dialect gives them.
Shared = Mapping[str, Fields]
Translate = Callable[[Fields, Arrival, Shared], Writing]


def _share_nothing(_around: Fields) -> Shared:
    return {}


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What a path calls otherwise.

    Shape: `translate` gets the fields of an event, and what `share` makes once per request of those around the events.
    Events may stand in the body's member `envelope`; `clock` is that in which a sender tells what time it has.
    `aliases` are other paths of the same. Keys of the kinds `body_keys` may travel in the body.
    """

    path: str
    translate: Translate
    share: Callable[[Fields], Shared] = _share_nothing
    aliases: tuple[str, ...] = ()
    envelope: str | None = None
    clock: str | None = None
    max_events: int = MAX_EVENTS
    status: int = 202
    body_keys: frozenset[KeyKind] = BODY_KEYS

    def hear(self, body: bytes, arrival: Arrival) -> "Heard":
        """Write the events of a body in our words.

        Errors: InputRefused, as for bodies in our own; also if what stands around the events is too much.
        """
        raws, around = None, Fields()
        if self.envelope is not None:
            raws, around = split_envelope(body, self.envelope, most=self.max_events, most_bytes=MAX_SHARED_BYTES)
        if raws is None:
            raws = split_events(body, self.max_events)
        skew, shared = self._skew(around, arrival), self.share(around)
        if len(raws) > 1 and sum(len(bytes(value)) for part in shared.values() for value in part.values()) > (
            MAX_REPEATED_BYTES
        ):
            message = f"What is read for all events at once holds {MAX_REPEATED_BYTES} bytes at most."
            raise InputRefused(message, field="", code="too_large")
        heard = Heard()
        for raw in raws:
            heard.add(raw, fields_of(raw), lambda fields: self.translate(fields, arrival, shared), skew)
        return heard

    def _skew(self, around: Fields, arrival: Arrival) -> timedelta | None:
        """Tell by how much a sender's clock is behind ours."""
        if self.clock is None:
            return None
        sent_at = read_time(time_of(around.get(self.clock)))
        return None if sent_at is None else arrival.received_at - sent_at


class Heard:
    """The events of a request in our words.

    Shape: `told` is what a repeat of an event would say again, where that is not all that is stored.
    """

    def __init__(self) -> None:
        self.raws: list[bytes | Raw] = []
        self.told: list[bytes | None] = []
        self._sources: list[Sources] = []

    def add(
        self,
        raw: bytes | Raw,
        fields: Fields | None,
        translate: Callable[[Fields], Writing],
        skew: timedelta | None,
    ) -> None:
        """Add an event; what is no object is left to the steps to refuse."""
        if fields is None:
            self._append(raw, None, {})
            return
        writing = translate(fields)
        told = bytes(raw_of(writing.fields))
        at, derived = writing.fields.get("occurred_at"), writing.derived
        if skew is not None and at is not None:
            derived = derived | {"occurred_at": shift_time(at, skew)}
        if not derived:
            self._append(told, None, writing.sources)
            return
        self._append(bytes(raw_of(writing.fields | derived)), told, writing.sources)

    def _append(self, raw: bytes | Raw, told: bytes | None, sources: Sources) -> None:
        self.raws.append(raw)
        self.told.append(told)
        self._sources.append(sources)

    def tell(self, answer: IngestAnswer) -> IngestAnswer:
        """Write the pointers of an answer in their words."""
        rejected = [
            msgspec.structs.replace(each, pointer=_find(each.pointer, self._sources[each.index]))
            for each in answer.rejected
        ]
        return msgspec.structs.replace(answer, rejected=rejected)

    def foretell(self, answer: DebugAnswer) -> DebugAnswer:
        """Do the same with what would become of events."""
        events = [
            each
            if each.pointer is None
            else msgspec.structs.replace(each, pointer=_find(each.pointer, self._sources[each.index]))
            for each in answer.events
        ]
        return msgspec.structs.replace(answer, events=events)


def _find(pointer: str, sources: Sources) -> str:
    """Tell where in their words a pointer of ours leads: by the longest part of it whose source is known."""
    parts = pointer.split("/")[1:]
    for count in range(len(parts), 0, -1):
        source = sources.get("/".join(parts[:count]))
        if source is not None:
            return "/".join(("", source, *parts[count:]))
    return pointer
