"""Deliveries of any service become our events by a mapping: JSON pointers by our fields. Pure."""

import re
from typing import Any

from app.ingest.hooks.delivery import Delivery, Told, from_minor, time_of
from app.ingest.outcomes import Code, Filtered, FilterReason, Refusal
from app.ingest.splitting import MAX_EVENTS
from provisioning.hooks.requests import Mapping
from tenants.errors import InputRefused

_NOTHING = object()
_TEXTS = frozenset({"name", "category", "session_id", "visitor_id", "user_id"})
_PROPERTY = "properties."
_WHOLE = re.compile("-?[0-9]{1,20}")


def translate_generic(delivery: Delivery, mapping: Mapping) -> list[Told | Filtered | Refusal]:
    """Tell what happened: an event for each element of an array, else one. What is none is the reason.

    Errors: InputRefused if there are too many.
    """
    parts = delivery.payload if isinstance(delivery.payload, list) else [delivery.payload]
    if not 1 <= len(parts) <= MAX_EVENTS:
        raise InputRefused(f"A delivery holds 1 to {MAX_EVENTS} events, not {len(parts)}.", code="event_count")
    return [_translate(part, index, delivery, mapping) for index, part in enumerate(parts)]


def _translate(part: Any, index: int, delivery: Delivery, mapping: Mapping) -> Told | Filtered | Refusal:
    told: Told = dict(mapping.constants)
    for target, pointer in mapping.fields.items():
        found = resolve(part, pointer)
        if found is not _NOTHING and found is not None:
            told[target] = _text(found) if target in _TEXTS else found
    if mapping.names:
        name = mapping.names.get(str(told.get("name")))
        if name is None:
            return Filtered(FilterReason.IGNORED)
        told["name"] = name
    if isinstance(at := told.get("occurred_at"), int | float) and not isinstance(at, bool):
        told["occurred_at"] = time_of(at)
    if isinstance(currency := told.get("currency"), str):
        told["currency"] = currency.upper()
    if mapping.minor_units and "amount" in told:
        units = _whole(told["amount"])
        if units is None:
            return Refusal(Code.WRONG_TYPE, "/amount", "An amount in minor units is a whole number.")
        told["amount"] = from_minor(units, str(told.get("currency")))
    return _gather(told) | {"event_id": _event_id(told.get("event_id"), index, delivery)}


def resolve(value: Any, pointer: str) -> Any:
    """Follow a JSON pointer (RFC 6901); what is not there is `_NOTHING`."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return _NOTHING
    return value


def _whole(value: Any) -> int | None:
    """Read a whole number, in whichever way it is written; None for all else."""
    if isinstance(value, bool):
        return None
    is_whole = value.is_integer() if isinstance(value, float) else isinstance(value, int)
    if isinstance(value, str):
        is_whole = _WHOLE.fullmatch(value) is not None
    return int(value) if is_whole else None


def _gather(told: Told) -> Told:
    """Put the properties that are told one by one to those that are told as a whole."""
    single = {name.removeprefix(_PROPERTY): told.pop(name) for name in list(told) if name.startswith(_PROPERTY)}
    whole = told.get("properties", {})
    if single and isinstance(whole, dict):
        told["properties"] = whole | single
    return told


def _event_id(given: Any, index: int, delivery: Delivery) -> str:
    """Make an id that is the same each time: of what the body says, of the signed id, or of the body itself."""
    own = _text(given) if given is not None else f"{delivery.signed_id or delivery.digest}/{index}"
    return f"hook/{delivery.source_id.hex}/{own}"


def _text(value: Any) -> Any:
    """Write numbers as text where ours are texts; what is neither is left to the steps to refuse."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
