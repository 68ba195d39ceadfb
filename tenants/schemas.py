"""A client's event schemas as serving knows them: ingest holds events to them, dashboards are made of them. Pure."""

import uuid
from collections.abc import Mapping
from enum import StrEnum

import msgspec


class FieldType(StrEnum):
    """What a field of an event's properties holds."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"
    DATETIME = "datetime"


# By event type, then by field.
Definition = dict[str, dict[str, FieldType]]


class EventSchema(msgspec.Struct, frozen=True, kw_only=True):
    """What the events that name it look like.

    Shape: `versions` holds the definitions that events may still be sent by, and never changes under a number;
    `version` is the one that counts where an event names none, `published` the one that views and dashboards are of,
    None before there are any.
    """

    id: uuid.UUID
    name: str
    description: str
    version: int
    published: int | None
    versions: dict[int, Definition]

    @property
    def shown(self) -> Definition:
        """The event types that have a view."""
        return {} if self.published is None else self.versions[self.published]


Schemas = Mapping[str, EventSchema]
