"""An event schema told to other tools: as JSON Schema and as TypeScript types. Pure.

Called by the routes. Both say what ingest checks: fields may be missing or null, and there may be others.
"""

import json
import re
from typing import Any

from tenants.schemas import Definition, FieldType

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_JSON: dict[FieldType, dict[str, Any]] = {
    FieldType.STRING: {"type": ["string", "null"]},
    FieldType.NUMBER: {"type": ["number", "null"]},
    FieldType.BOOLEAN: {"type": ["boolean", "null"]},
    FieldType.ARRAY: {"type": ["array", "null"]},
    FieldType.OBJECT: {"type": ["object", "null"]},
    FieldType.DATETIME: {"type": ["string", "null"], "format": "date-time"},
}
_TYPESCRIPT = {
    FieldType.STRING: "string",
    FieldType.NUMBER: "number",
    FieldType.BOOLEAN: "boolean",
    FieldType.ARRAY: "unknown[]",
    FieldType.OBJECT: "Record<string, unknown>",
    FieldType.DATETIME: "string",
}


def json_schema(url: str, name: str, description: str, version: int, definition: Definition) -> dict[str, Any]:
    """Describe the events of a schema: their `name`, and the `properties` that belong to it."""
    told = {"description": description} if description else {}
    kinds = [
        {
            "title": event_type,
            "properties": {
                "name": {"const": event_type},
                "properties": {
                    "type": ["object", "null"],
                    "properties": {field: _JSON[kind] for field, kind in fields.items()},
                },
            },
        }
        for event_type, fields in definition.items()
    ]
    return {
        "$schema": DIALECT,
        "$id": url,
        "title": f"{name}, version {version}",
        **told,
        "type": "object",
        "properties": {"schema": {"enum": [name, f"{name}@{version}", {"name": name, "version": version}]}},
        "required": ["name"],
        "oneOf": kinds,
    }


def typescript(name: str, version: int, definition: Definition) -> str:
    """Write the types of a schema's events, for whoever sends them from TypeScript."""
    own = _identifier(name)
    kinds = "".join(_interface(event_type, fields) for event_type, fields in definition.items())
    return f"""// Events of the schema {json.dumps(name)}, version {version}, as Grove takes them.

export interface {own}Events {{
{kinds}}}

export type {own}EventType = keyof {own}Events;

/** An event as it is sent. */
export interface {own}Event<T extends {own}EventType = {own}EventType> {{
  name: T;
  schema: {json.dumps(name)};
  properties: {own}Events[T];
}}

/** A function that sends one, such as the SDK's, with the properties that belong to its name. */
export type {own}Track = <T extends {own}EventType>(name: T, properties: {own}Events[T]) => void;
"""


def _interface(event_type: str, fields: dict[str, FieldType]) -> str:
    lines = "".join(f"    {json.dumps(field)}?: {_TYPESCRIPT[kind]} | null;\n" for field, kind in fields.items())
    return f"  {json.dumps(event_type)}: {{\n{lines}    [field: string]: unknown;\n  }};\n"


def _identifier(name: str) -> str:
    """Write a name as one that TypeScript takes for a type."""
    words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))
    return words if words[:1].isalpha() else f"Schema{words}"
