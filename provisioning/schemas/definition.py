"""Judge an event schema, and what a new version of it would break. Pure, and lists every fault at once.

Called by `provisioning.schemas.store`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from provisioning.schemas.names import column_name, name_key, view_name
from tenants.pointers import pointer
from tenants.schemas import Definition, FieldType

Fault = tuple[str, str]
Given = Mapping[str, Mapping[str, str]]

MAX_NAME = 64
MAX_LABEL = 128
MAX_DESCRIPTION = 2_000
MAX_EVENT_TYPES = 100
MAX_FIELDS = 200
MAX_FIELDS_IN_ALL = 1_000
_TYPES = tuple(kind.value for kind in FieldType)
# Nothing that SQL, Grafana or a template would take for more than a name; `@` stands before a version.
_LABEL = re.compile(r"\w(?:[\w .:/-]*\w)?")
_LETTERS = "letters, digits, `_`, and between them spaces and `. : / -`"


def schema_faults(name: str, description: str, definition: Given) -> Iterator[Fault]:
    """Judge a schema by itself."""
    if len(name) > MAX_NAME or _LABEL.fullmatch(name) is None or not name_key(name):
        yield "/name", f"A schema's name has 1 to {MAX_NAME} characters: {_LETTERS}."
    if len(description) > MAX_DESCRIPTION or "\0" in description:
        yield "/description", f"A description has {MAX_DESCRIPTION} characters at most."
    if not 1 <= len(definition) <= MAX_EVENT_TYPES:
        yield "/properties", f"A schema has 1 to {MAX_EVENT_TYPES} event types."
    if sum(map(len, definition.values())) > MAX_FIELDS_IN_ALL:
        yield "/properties", f"A schema has {MAX_FIELDS_IN_ALL} fields at most."
    for event_type, fields in definition.items():
        yield from _event_type_faults(event_type, fields)


def view_faults(name: str, definition: Given, others: Mapping[str, Definition]) -> Iterator[Fault]:
    """Find event types whose view would have the name of another one's, of this schema or of the client's others."""
    taken = {view_name(other, event_type): f"`{event_type}` of schema `{other}`" for other, event_type in _all(others)}
    for event_type in definition:
        view = view_name(name, event_type)
        if view in taken:
            yield pointer("properties", event_type), f"Its view `{view}` would be that of {taken[view]}, too."
        taken[view] = f"`{event_type}`"


def breaks(old: Definition, new: Definition) -> Iterator[Fault]:
    """Tell what senders and readers of the old version rely on and the new one has no more."""
    for event_type, fields in old.items():
        if event_type not in new:
            yield pointer("properties", event_type), "The event type is removed."
            continue
        for field, kind in fields.items():
            found = new[event_type].get(field)
            if found is None:
                yield pointer("properties", event_type, field), "The field is removed."
            elif found is not kind:
                yield pointer("properties", event_type, field), f"The field's type changes from {kind} to {found}."


def _event_type_faults(event_type: str, fields: Mapping[str, str]) -> Iterator[Fault]:
    if not _is_label(event_type) or not name_key(event_type):
        yield pointer("properties", event_type), f"An event type has 1 to {MAX_LABEL} characters: {_LETTERS}."
    if len(fields) > MAX_FIELDS:
        yield pointer("properties", event_type), f"An event type has {MAX_FIELDS} fields at most."
    columns = Counter(map(column_name, fields))
    for field, kind in fields.items():
        if kind not in _TYPES:
            detail = f"A field holds one of {', '.join(_TYPES)}."
            yield pointer("properties", event_type, field), detail
        if not _is_label(field):
            detail = f"A field's name has 1 to {MAX_LABEL} characters: {_LETTERS}."
            yield pointer("properties", event_type, field), detail
        elif columns[column_name(field)] > 1:
            detail = f"Its column `{column_name(field)}` would be that of another field, too."
            yield pointer("properties", event_type, field), detail


def _is_label(text: str) -> bool:
    return len(text) <= MAX_LABEL and _LABEL.fullmatch(text) is not None


def _all(definitions: Mapping[str, Definition]) -> Iterable[tuple[str, str]]:
    return [(name, event_type) for name, definition in definitions.items() for event_type in definition]
