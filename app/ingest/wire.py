"""The shape of events as they are sent, decoded and checked by msgspec.

Source: `POST /api/v1/events`. Field names and limits here are the public contract.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Raw, Struct

Name = Annotated[str, Meta(min_length=1, max_length=128, description="What happened, as in `page_view`.")]
MAX_ID = 128
Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
Label = Annotated[str, Meta(max_length=128)]
MAX_LINE = 2048
Line = Annotated[str, Meta(max_length=MAX_LINE)]
Time = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset.")]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """The page on which a web event happened."""

    url: Line | None = None
    path: Line | None = None
    title: Line | None = None
    referrer: Line | None = None


class Utm(Struct, frozen=True, forbid_unknown_fields=True):
    """Campaign parameters; taken from the page's URL where not given.

    Shape: `term` and `content`, as far as they are given, become the properties `utm_term` and `utm_content`.
    """

    source: Line | None = None
    medium: Line | None = None
    campaign: Line | None = None
    term: Line | None = None
    content: Line | None = None


class Context(Struct, frozen=True, forbid_unknown_fields=True):
    """What the sender knows of the visitor's device; what it does not say is found out.

    Shape: `ip` and `user_agent` let a server speak for a visitor; they are used and forgotten. Of a browser's events
    they are passed over, since the request itself tells.
    """

    device: Label | None = None
    browser: Label | None = None
    os: Label | None = None
    country: Label | None = None
    referrer: Line | None = None
    utm: Utm | None = None
    ip: Annotated[str, Meta(max_length=64, description="The visitor's address; never stored.")] | None = None
    user_agent: (
        Annotated[str, Meta(max_length=2048, description="The visitor's browser; kept in quarantine alone.")] | None
    ) = None


class SchemaRef(Struct, frozen=True, forbid_unknown_fields=True):
    """The event schema that an event is held to; as a text: its name, or `name@version`."""

    name: Label
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class WireEvent(Struct, frozen=True, forbid_unknown_fields=True):
    """One event. Only `name` is required; chat events also need `session_id`."""

    name: Name
    event_id: Annotated[Id, Meta(description="Any string; a repeat of it is a duplicate.")] | None = None
    category: Label | None = None
    occurred_at: Time | None = None
    session_id: Id | None = None
    visitor_id: Id | None = None
    user_id: Id | None = None
    page: Page | Line | None = None
    context: Context | None = None
    amount: Decimal | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")] | None = None
    schema: SchemaRef | Label | None = None
    properties: Raw = Raw(b"{}")
    api_key: str | None = None


class LeadProperties(Struct, frozen=True):
    """Properties of `lead_captured`."""

    name: Line | None = None
    email: Line | None = None
    phone: Line | None = None
    source: Line | None = None


class MessageProperties(Struct, frozen=True):
    """Properties of `chat_message`."""

    role: Annotated[str, Meta(min_length=1, max_length=32)]
    text: str | None = None
    intent: Line | None = None
    confidence: float | None = None
    fallback: bool | None = None
    tokens_in: Int64 | None = None
    tokens_out: Int64 | None = None
    cost: Decimal | None = None
    latency_ms: float | None = None


class AgentProperties(Struct, frozen=True):
    """Properties of `agent_connected`, `agent_disconnected` and `csat` (its `score`)."""

    agent: Line | None = None
    score: float | None = None
