"""An event between its decoding and its storing, and what all events of a request share."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from asyncpg.pgproto.pgproto import UUID

from app.ingest.enrichment.sender import NOBODY, Sender
from app.ingest.wire import AgentProperties, LeadProperties, MessageProperties, WireEvent
from tenants.schemas import Schemas

EVENT_TYPES = {
    "event_id": "uuid", "name": "text", "category": "text", "occurred_at": "timestamptz", "received_at": "timestamptz",
    "session_id": "text", "visitor_id": "text", "user_id": "text", "page_url": "text", "page_path": "text",
    "page_title": "text", "referrer": "text", "utm_source": "text", "utm_medium": "text", "utm_campaign": "text",
    "device": "text", "browser": "text", "os": "text", "country": "text", "amount": "numeric", "currency": "text",
    "schema_name": "text", "schema_version": "int4", "properties": "jsonb", "key_id": "uuid",
    "channel": "text", "search_engine": "text", "is_bot": "bool",
}  # fmt: skip
EVENT_COLUMNS = tuple(EVENT_TYPES)
# As they are written: with the flush, by which the rollups find what they do not hold yet.
STORED_COLUMNS = EVENT_TYPES | {"flush": "int8"}


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What all events of one request share.

    Shape: `key_id` is the asyncpg-ready UUID of the key; `oldest` is the earliest time accepted, `latest` the latest,
    if that is not an hour after `received_at`; `event_id` is the id of an event that brings none; `schemas` are those
    that events may name; `changes` counts what the enrichment did, by step and reason.
    """

    key_id: UUID
    received_at: datetime
    oldest: datetime
    accepts_chat: bool
    idempotency_key: str | None = None
    latest: datetime | None = None
    event_id: UUID | None = None
    schemas: Schemas = {}
    sender: Sender = NOBODY
    changes: dict[tuple[str, str], int] = {}


class Visit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of an event's visit is found out when it is stored.

    Shape: of `subject` the visitor's id is made, with the salt of the day; `zone` is the client's, and `campaign` what
    leads from one session to the next.
    """

    subject: bytes | None
    needs_session: bool
    zone: ZoneInfo
    campaign: str


class ChatPart(msgspec.Struct, frozen=True, gc=False):
    """What an event has to say to the chatbot tables: a step, or properties of the kind its name asks for."""

    step: int | None = None
    properties: LeadProperties | MessageProperties | AgentProperties | None = None


class Event(msgspec.Struct, kw_only=True, gc=False):
    """An event that can be stored.

    Shape: `record` follows EVENT_COLUMNS; `tracked` tells whether its id was given, so that it may come again;
    `digest` is a 64-bit hash of its body, by which a repeat with another body is recognised; `traits` are what is to be
    kept of its person.
    """

    index: int
    id: UUID
    tracked: bool
    digest: int
    record: list[Any]
    wire: WireEvent
    occurred_at: datetime
    chat: ChatPart | None
    visit: Visit | None = None
    traits: dict[str, Any] | None = None

    @property
    def session_id(self) -> str | None:
        """The session that it is stored under."""
        session_id: str | None = self.record[5]
        return session_id

    @property
    def visitor_id(self) -> str | None:
        """The visitor that it is stored under."""
        visitor_id: str | None = self.record[6]
        return visitor_id

    @property
    def user_id(self) -> str | None:
        """The user that it is stored under."""
        user_id: str | None = self.record[7]
        return user_id

    def place(self, session_id: str | None, visitor_id: str | None) -> None:
        """Store it under another session and visitor."""
        self.record[5], self.record[6] = session_id, visitor_id
