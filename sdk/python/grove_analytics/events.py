"""What an event looks like on its way: JSON with an id of its own, so that it may be sent again."""

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any


def write_event(name: str, fields: Mapping[str, Any]) -> bytes:
    """Write an event of a name; fields that are None are left out.

    Errors: TypeError or ValueError for what JSON cannot say.
    """
    event = {
        "name": name,
        "event_id": str(_uuid7()),
        "occurred_at": datetime.now(UTC),
        **{field: value for field, value in fields.items() if value is not None},
    }
    return json.dumps(event, default=_as_json, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _uuid7() -> uuid.UUID:
    """Make an id that sorts by time (RFC 9562), by which the server recognises repeats at half the price."""
    value = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=value & ~(0b11 << 62) | 0b10 << 62)


def _as_json(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        message = f"{value!r} has no time zone."
        raise ValueError(message)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | uuid.UUID):
        return str(value)
    message = f"{type(value).__name__} is no type of JSON."
    raise TypeError(message)
