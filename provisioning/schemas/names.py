"""The names that a schema gives to views and columns: safe, short enough, and always the same. Pure.

Used by the judging of definitions, which refuses two that would have one name, and by whatever reads the views.
"""

import hashlib
import re

LONGEST_BYTES = 63
# What every view has beside the fields of its event type, by its column in `events`.
COLUMNS = ("event_id", "occurred_at", "received_at", "session_id", "visitor_id", "user_id", "schema_version")
_DIGEST = 8


def name_key(name: str) -> str:
    """Write a name as it stands in the names of views."""
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")


def view_name(schema: str, event_type: str) -> str:
    """Name the view of an event type: `s_<schema>_<event type>`; a long one is cut and ends in a digest."""
    return _fit(f"s_{name_key(schema)}_{name_key(event_type)}", f"{schema}/{event_type}")


def column_name(field: str) -> str:
    """Name the column of a field: as the field, unless each view has a column of that name."""
    return _fit(f"property_{field}" if field in COLUMNS else field, field)


def _fit(name: str, whole: str) -> str:
    if len(name.encode()) <= LONGEST_BYTES:
        return name
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST]
    kept = name.encode()[: LONGEST_BYTES - _DIGEST - 1].decode(errors="ignore")
    return f"{kept}_{digest}"
