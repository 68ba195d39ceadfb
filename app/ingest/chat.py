"""Chat events: which there are, and what of each goes into the chatbot tables. Pure.

A chat event folds into its session's row of `"UserEvents"`: the earliest time of each step wins, so that
neither order nor repetition matters.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from app.ingest.enrichment.redaction import redact_text
from app.ingest.event import ChatPart, Event
from app.ingest.limits import fit_amount
from app.ingest.wire import AgentProperties, LeadProperties, MessageProperties, WireEvent

STEPS = ("page_loaded", "widget_opened", "requested_human", "pressed_accept", "pressed_callback", "pressed_continue")
_STEP_INDEX = {name: index for index, name in enumerate(STEPS)}
_PROPERTIES: dict[str, type[LeadProperties | MessageProperties | AgentProperties]] = {
    "lead_captured": LeadProperties,
    "chat_message": MessageProperties,
    "agent_connected": AgentProperties,
    "agent_disconnected": AgentProperties,
    "csat": AgentProperties,
}
_decoders = {name: msgspec.json.Decoder(kind) for name, kind in _PROPERTIES.items()}
CHAT_EVENTS = frozenset((*STEPS, *_PROPERTIES))


_STEP_PARTS = [ChatPart(step=index) for index in range(len(STEPS))]


def read_chat(wire: WireEvent) -> ChatPart:
    """Read a chat event's own properties.

    Errors: msgspec.DecodeError, Refusal.
    """
    step = _STEP_INDEX.get(wire.name)
    if step is not None:
        return _STEP_PARTS[step]
    said = _decoders[wire.name].decode(wire.properties)
    if isinstance(said, MessageProperties):
        cost = None if said.cost is None else fit_amount(said.cost, "/properties/cost")
        text, intent = (None if each is None else redact_text(each) for each in (said.text, said.intent))
        said = msgspec.structs.replace(said, cost=cost, text=text, intent=intent)
    return ChatPart(properties=said)


Rows = list[tuple[Any, ...]]


class ChatRows(msgspec.Struct, kw_only=True):
    """A flush's rows for each chatbot table, sorted by session so that concurrent flushes lock in one order.

    Shape: `sessions` = (sessionId, six step times or None, createdAt, updatedAt); the others follow their table.
    """

    sessions: Rows
    leads: Rows
    messages: Rows
    agents: Rows


def fold_chat(events: Iterable[Event]) -> ChatRows:
    """Fold chat events into rows; events of other kinds are passed over."""
    sessions: dict[str, list[datetime | None]] = {}
    rows = ChatRows(sessions=[], leads=[], messages=[], agents=[])
    for event in events:
        session_id = event.session_id
        if event.chat is None or session_id is None:
            continue
        at = event.occurred_at
        times = sessions.setdefault(session_id, [None] * len(STEPS) + [at, at])
        step = event.chat.step
        if step is not None:
            times[step] = _earlier(times[step], at)
        times[-2] = _earlier(times[-2], at)
        times[-1] = max(at, times[-1] or at)
        _append_detail(rows, event, session_id)
    rows.sessions = [(session_id, *sessions[session_id]) for session_id in sorted(sessions)]
    return rows


def _earlier(known: datetime | None, at: datetime) -> datetime:
    return at if known is None or at < known else known


def _append_detail(rows: ChatRows, event: Event, session_id: str) -> None:
    said = event.chat.properties if event.chat is not None else None
    at = event.occurred_at
    match said:
        case LeadProperties():
            rows.leads.append((event.id, session_id, said.name, said.email, said.phone, said.source, at))
        case MessageProperties():
            rows.messages.append(
                (event.id, session_id, said.role, said.text, said.intent, said.confidence, said.fallback,
                 said.tokens_in, said.tokens_out, said.cost, said.latency_ms, at)
            )  # fmt: skip
        case AgentProperties():
            rows.agents.append((event.id, session_id, event.wire.name, said.agent, at, said.score))
        case None:
            return
