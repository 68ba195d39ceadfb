"""Chatwoot's webhooks become chat events: what is said, who takes over, and how the visitor liked it. Pure.

A conversation is a session. Its beginning is the widget being opened; a bot that hands it over is asked for a human.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from app.ingest.hooks.delivery import Delivery, Told, read_as, time_of
from app.ingest.outcomes import Filtered, FilterReason

_ACTIVITY = frozenset({"activity", 2})
_INCOMING = frozenset({"incoming", 0})
_OUTGOING = frozenset({"outgoing", 1})
_Time = int | float | str


class _Person(msgspec.Struct, frozen=True, kw_only=True):
    """A contact, an agent or a bot."""

    id: int | None = None
    name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    type: str | None = None


class _Meta(msgspec.Struct, frozen=True, kw_only=True):
    sender: _Person | None = None
    assignee: _Person | None = None


class _Changed(msgspec.Struct, frozen=True, kw_only=True):
    previous_value: Any = None
    current_value: Any = None


class _Conversation(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    status: str | None = None
    meta: _Meta = _Meta()
    created_at: _Time | None = None
    updated_at: _Time | None = None
    changed_attributes: list[dict[str, _Changed]] | None = None


class _About(msgspec.Struct, frozen=True):
    """The conversation of a message."""

    id: int


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    conversation: _About
    message_type: str | int
    content: str | None = None
    content_type: str | None = None
    content_attributes: dict[str, Any] | None = None
    created_at: _Time | None = None
    updated_at: _Time | None = None
    private: bool = False
    sender: _Person | None = None


class _Opening(msgspec.Struct, frozen=True, kw_only=True):
    current_conversation: _About | None = None


class _Head(msgspec.Struct, frozen=True):
    event: str | None = None


def translate_chatwoot(delivery: Delivery) -> list[Told]:
    """Tell what happened.

    Errors: Refusal; Filtered for what means nothing to us.
    """
    translate = _EVENTS.get(read_as(_Head, delivery.payload).event or "")
    told = [] if translate is None else translate(delivery)
    if not told:
        raise Filtered(FilterReason.IGNORED)
    return told


def _conversation_created(delivery: Delivery) -> list[Told]:
    conversation = read_as(_Conversation, delivery.payload)
    at = _time(conversation.created_at)
    opened = _tell(delivery, conversation.id, "widget_opened", f"conversation/{conversation.id}", at)
    contact = conversation.meta.sender or _Person()
    if contact.id is None or not (contact.email or contact.phone_number):
        return [opened]
    known = {"name": contact.name, "email": contact.email, "phone": contact.phone_number, "source": "chatwoot"}
    lead = _tell(delivery, conversation.id, "lead_captured", f"contact/{contact.id}/lead", at)
    return [opened, lead | {"properties": {name: value for name, value in known.items() if value}}]


def _status_changed(delivery: Delivery) -> list[Told]:
    conversation = read_as(_Conversation, delivery.payload)
    before = _changed(conversation, "status").previous_value
    agent = conversation.meta.assignee
    what: Literal["requested_human", "agent_disconnected"] | None = None
    if (before, conversation.status) == ("pending", "open"):
        what = "requested_human"
    elif conversation.status == "resolved" and agent is not None:
        what = "agent_disconnected"
    if what is None:
        return []
    told = _tell(delivery, conversation.id, what, delivery.digest, _time(conversation.updated_at))
    return [told | {"properties": {"agent": _name(agent)}} if what == "agent_disconnected" else told]


def _conversation_updated(delivery: Delivery) -> list[Told]:
    conversation = read_as(_Conversation, delivery.payload)
    agent = conversation.meta.assignee
    if _changed(conversation, "assignee_id").current_value is None or agent is None:
        return []
    told = _tell(delivery, conversation.id, "agent_connected", delivery.digest, _time(conversation.updated_at))
    return [told | {"properties": {"agent": _name(agent)}}]


def _message_created(delivery: Delivery) -> list[Told]:
    message = read_as(_Message, delivery.payload)
    if message.private or message.message_type in _ACTIVITY:
        return []
    told = _tell(delivery, message.conversation.id, "chat_message", f"message/{message.id}", _time(message.created_at))
    return [told | {"properties": {"role": _role(message), "text": message.content}}]


def _message_updated(delivery: Delivery) -> list[Told]:
    message = read_as(_Message, delivery.payload)
    submitted = (message.content_attributes or {}).get("submitted_values")
    survey = submitted.get("csat_survey_response") if isinstance(submitted, dict) else None
    if message.content_type != "input_csat" or not isinstance(survey, dict) or survey.get("rating") is None:
        return []
    at = _time(message.updated_at or message.created_at)
    told = _tell(delivery, message.conversation.id, "csat", f"message/{message.id}/csat", at)
    return [told | {"properties": {"score": survey["rating"]}}]


def _widget_triggered(delivery: Delivery) -> list[Told]:
    about = read_as(_Opening, delivery.payload).current_conversation
    if about is None:  # then the conversation that follows, if any, tells of it
        return []
    return [_tell(delivery, about.id, "widget_opened", f"conversation/{about.id}", None)]


def _tell(delivery: Delivery, conversation: int, name: str, what: str, at: str | None) -> Told:
    """Begin an event; numbers are those of one installation, so that they are told together with the source."""
    return {
        "event_id": f"chatwoot/{delivery.source_id.hex}/{what}" + ("" if what != delivery.digest else f"/{name}"),
        "name": name,
        "category": "chat",
        "occurred_at": at,
        "session_id": f"chatwoot-{delivery.source_id.hex[:8]}-{conversation}",
    }


def _role(message: _Message) -> str:
    if message.message_type in _INCOMING:
        return "user"
    is_person = message.sender is not None and message.sender.type != "agent_bot"
    return "agent" if message.message_type in _OUTGOING and is_person else "assistant"


def _changed(conversation: _Conversation, name: str) -> _Changed:
    return next((each[name] for each in conversation.changed_attributes or () if name in each), _Changed())


def _name(agent: _Person | None) -> str | None:
    return None if agent is None else agent.name


def _time(at: _Time | None) -> str | None:
    """Write a time as RFC 3339; Chatwoot has several ways."""
    if isinstance(at, str):
        return at.removesuffix(" UTC").replace(" ", "T") + "Z" if at.endswith(" UTC") else at
    return None if at is None else time_of(at)


_EVENTS: dict[str, Callable[[Delivery], list[Told]]] = {
    "conversation_created": _conversation_created,
    "conversation_status_changed": _status_changed,
    "conversation_updated": _conversation_updated,
    "message_created": _message_created,
    "message_updated": _message_updated,
    "webwidget_triggered": _widget_triggered,
}
