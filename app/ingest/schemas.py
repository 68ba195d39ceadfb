"""Check events against the schemas that they name; a step of an event, pure.

Called by `app.ingest.steps`. Each event type of each version becomes a decoder once, which walks the properties
without making anything of them; only what it refuses is looked at closely.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from app.ingest.outcomes import Code, Refusal
from app.ingest.wire import SchemaRef, WireEvent
from tenants.pointers import escape
from tenants.schemas import Definition, EventSchema, FieldType, Schemas

COMPILED = 5_000
_LISTED = 20
_Time = Annotated[datetime, Meta(tz=True)]
_TYPES: dict[FieldType, Any] = {
    FieldType.STRING: str | None,
    FieldType.NUMBER: int | float | None,
    FieldType.BOOLEAN: bool | None,
    FieldType.ARRAY: list[Raw] | None,
    FieldType.OBJECT: dict[str, Raw] | None,
    FieldType.DATETIME: _Time | None,
}
_ONE = {kind: msgspec.json.Decoder(described) for kind, described in _TYPES.items()}
_split = msgspec.json.Decoder(dict[str, Raw]).decode
# A version never changes, so what was made of it is right for as long as it is kept.
_decoders: dict[tuple[UUID, int, str], msgspec.json.Decoder[Any]] = {}


def check_schema(wire: WireEvent, properties: str, schemas: Schemas) -> SchemaRef:
    """Check an event that names a schema, and return which version of it that is.

    Errors: Refusal, which lists what there is if that is not what was named.
    """
    given = wire.schema
    name, version = _read_name(given) if isinstance(given, str) else (given.name, given.version)  # type: ignore[union-attr]
    schema = schemas.get(name)
    if schema is None:
        detail = f"There is no schema `{name}`; there {_list(schemas, 'is', 'are')}."
        raise Refusal(Code.UNKNOWN_SCHEMA, "/schema" if isinstance(given, str) else "/schema/name", detail)
    version = schema.version if version is None else version
    definition = schema.versions.get(version)
    if definition is None:
        detail = f"Schema `{name}` has no version {version}; its latest is {schema.version}."
        raise Refusal(Code.UNKNOWN_SCHEMA, "/schema" if isinstance(given, str) else "/schema/version", detail)
    if wire.name not in definition:
        detail = f"Schema `{name}` has no event type `{wire.name}`; there {_list(definition, 'is', 'are')}."
        raise Refusal(Code.UNKNOWN_EVENT_TYPE, "/name", detail)
    try:
        _decoder(schema, version, wire.name).decode(properties)
    except msgspec.DecodeError as error:
        raise _explain(properties, definition, wire.name, f"schema `{name}`, version {version}") from error
    return SchemaRef(name=name, version=version)


def _read_name(given: str) -> tuple[str, int | None]:
    """Read `name` or `name@version`."""
    name, _, version = given.partition("@")
    return (name, int(version)) if version.isascii() and version.isdecimal() else (given, None)


def _decoder(schema: EventSchema, version: int, event_type: str) -> msgspec.json.Decoder[Any]:
    key = schema.id, version, event_type
    found = _decoders.get(key)
    if found is None:
        if len(_decoders) >= COMPILED:
            _decoders.clear()
        found = _decoders[key] = _compile(schema.versions[version][event_type])
    return found


def _compile(fields: dict[str, FieldType]) -> msgspec.json.Decoder[Any]:
    names = {f"field_{place}": field for place, field in enumerate(fields)}
    members = [(own, _TYPES[fields[field]], None) for own, field in names.items()]
    return msgspec.json.Decoder(msgspec.defstruct("Properties", members, rename=names, frozen=True, gc=False))


def _explain(properties: str, definition: Definition, event_type: str, where: str) -> Refusal:
    """Find the first field that is not as it should be."""
    for field, value in _split(properties).items():
        kind = definition[event_type].get(field)
        if kind is None:
            continue
        try:
            _ONE[kind].decode(value)
        except msgspec.DecodeError:
            is_text = bytes(value).lstrip().startswith(b'"')
            code = Code.INVALID_TIME if kind is FieldType.DATETIME and is_text else Code.WRONG_TYPE
            wanted = "an RFC 3339 time with an offset" if kind is FieldType.DATETIME else f"`{kind}`"
            return Refusal(code, f"/properties/{escape(field)}", f"Expected {wanted} by {where}.")
    return Refusal(Code.INVALID, "/properties", f"Not as {where} says.")


def _list(names: Iterable[str], one: str, several: str) -> str:
    """List what is known: “is none”, “is `a`”, “are `a`, `b`”."""
    known = sorted(names)
    shown = ", ".join(f"`{name}`" for name in known[:_LISTED])
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"{one if len(known) <= 1 else several} {shown or 'none'}{more}"
