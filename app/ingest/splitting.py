"""Split a body into raw events, so that each is judged alone.

msgspec does it at once when the whole body is sound. Where it balks, a slower walk finds out whether the
syntax is broken (the request is refused) or one event holds what no store can keep (that event is refused).
"""

import json
import re
from contextlib import suppress

import msgspec

from app.ingest.limits import MAX_KEYS
from app.ingest.outcomes import Code, Refusal
from tenants.errors import InputRefused
from tenants.pointers import escape

MAX_EVENTS = 1_000
_array = msgspec.json.Decoder(list[msgspec.Raw])
_single = msgspec.json.Decoder(msgspec.Raw)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_name = msgspec.json.Decoder(str)
# Nothing is tried twice: a string without an end is gone through once, not once from each quotation mark in it.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_MEMBER = re.compile(rb"(" + _STRING + rb'")\s*+:\s*+(.*)', re.DOTALL)
_OPENING, _CLOSING, _COMMA = b"[{", b"]}", ord(",")
_TOKEN = re.compile(_STRING + rb'(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_SPACE = b" \t\n\r"


def split_events(body: bytes, most: int = MAX_EVENTS) -> list[bytes | msgspec.Raw]:
    """Split a body into its events.

    Shape: an array gives its elements in order, anything else itself; elements are sound JSON, or JSON that
    `diagnose` can tell more about.
    Errors: InputRefused if the body is no JSON, or holds no or too many events.
    """
    text = body.lstrip(_SPACE)
    is_array = text[:1] == b"["
    try:
        events: list[bytes | msgspec.Raw] = [*_array.decode(text)] if is_array else [_single.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        parts = _split_slowly(text, most) if is_array else [text.rstrip(_SPACE)]
        _require_count(len(parts), most)
        for part in parts:
            _require_syntax(part)
        return [*parts]
    _require_count(len(events), most)
    return events


def _require_count(count: int, most: int) -> None:
    if not 1 <= count <= most:
        found = "more" if count > most else count
        raise InputRefused(f"A request holds 1 to {most} events, not {found}.", field="", code="event_count")


def split_envelope(
    body: bytes, name: str, *, most: int, most_bytes: int
) -> tuple[list[bytes | msgspec.Raw] | None, dict[str, msgspec.Raw]]:
    """Split a body that is an object into the events that one member holds and the other members.

    Shape: no events if the body is no such object; then an object's members are those of a single event, and so is a
    broken one that has more of them than an event may have.
    Errors: InputRefused if the body is no JSON, the member no array, or the others more than all events may share.
    """
    text = body.strip(_SPACE)
    if text[:1] != b"{":
        return None, {}
    try:
        members = _object.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        parts = _split_slowly(text, MAX_KEYS)
        if len(parts) > MAX_KEYS:
            return None, {}
        members = _read_members(parts)
    events = members.pop(name, None)
    if events is None:
        return None, members
    if bytes(events)[:1] != b"[":
        raise InputRefused("An array of events is expected.", field="/" + escape(name), code="not_an_array")
    if sum(map(len, map(bytes, members.values()))) > most_bytes:
        message = f"What stands beside `{name}` holds {most_bytes} bytes at most."
        raise InputRefused(message, field="", code="too_large")
    return split_events(bytes(events), most), members


def _read_members(parts: list[bytes]) -> dict[str, msgspec.Raw]:
    """Read `"name": value` each; one whose name cannot be read has nothing to tell."""
    members = {}
    for part in parts:
        found = _MEMBER.fullmatch(part)
        if found is None:
            raise InputRefused("The body is not valid JSON.", field="", code="invalid_json")
        _require_syntax(b"{" + part + b"}")
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            members[_name.decode(found[1])] = msgspec.Raw(found[2])
    return members


def diagnose(raw: bytes) -> Refusal | None:
    """Say what makes an event undecodable although its syntax is right; None if nothing does."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Refusal(Code.INVALID_UTF8, "", f"Not UTF-8 at byte {error.start} of the event.")
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except RecursionError:
        return Refusal(Code.TOO_DEEP, "", "Nested too deeply.")
    except msgspec.DecodeError:
        return _diagnose_surrogate(raw)
    return None


def _require_syntax(raw: bytes) -> None:
    try:
        json.loads(raw.decode(errors="replace"), parse_constant=_refuse_constant, parse_int=str)
    except RecursionError:
        return
    except ValueError as error:
        raise InputRefused("The body is not valid JSON.", field="", code="invalid_json") from error


def _refuse_constant(name: str) -> object:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _split_slowly(text: bytes, most: int) -> list[bytes]:
    """Split an array or an object at its commas, whatever stands between them; end once there are too many parts."""
    parts: list[bytes] = []
    depth, start = 0, 1
    for match in _TOKEN.finditer(text):
        at = match.start()
        sign = text[at]
        if sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
            if depth == 0:
                return _finish(text, parts, start, at)
        elif sign == _COMMA and depth == 1:
            parts.append(text[start:at].strip(_SPACE))
            start = at + 1
            if len(parts) > most:
                return parts
    raise InputRefused("The body is not valid JSON.", field="", code="invalid_json")


def _finish(text: bytes, parts: list[bytes], start: int, end: int) -> list[bytes]:
    if text[end + 1 :].strip(_SPACE) or _CLOSING.index(text[end]) != _OPENING.index(text[0]):
        raise InputRefused("The body is not valid JSON.", field="", code="invalid_json")
    last = text[start:end].strip(_SPACE)
    return [*parts, last] if last or parts else []


def _diagnose_surrogate(raw: bytes) -> Refusal:
    try:
        # Python refuses to make integers of thousands of digits; here none is needed.
        pointer = _find_surrogate(json.loads(raw, parse_int=str), "") or ""
    except RecursionError:
        return Refusal(Code.TOO_DEEP, "", "Nested too deeply.")
    return Refusal(Code.LONE_SURROGATE, pointer, "A string holds half of a surrogate pair.")


def _find_surrogate(value: object, pointer: str) -> str | None:
    if isinstance(value, str):
        return pointer if any("\ud800" <= character <= "\udfff" for character in value) else None
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        if isinstance(key, str) and _find_surrogate(key, "") is not None:
            return pointer
        found = _find_surrogate(item, f"{pointer}/{escape(str(key))}")
        if found is not None:
            return found
    return None
