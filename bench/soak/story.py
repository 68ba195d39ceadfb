"""What visitors of one client's site do, without end: web and chat events, some sent again, some that cannot be stored.

Used by `bench.soak.traffic`.
"""

import random
import uuid
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

CHAT_SHARE, REPEAT_SHARE, POISON_SHARE = 0.2, 0.01, 0.005
SESSIONS_AT_ONCE = 40
EVENTS_PER_SESSION = 12
NEW_VISITOR_SHARE = 0.3
REMEMBERED = 2_000
_WEB = {
    "page_view": 60, "product_view": 20, "add_to_cart": 8, "checkout_start": 4, "section_view": 3,
    "external_link_click": 3, "purchase": 2,
}  # fmt: skip
_CHAT = (
    "page_loaded", "widget_opened", "chat_message", "chat_message", "requested_human", "agent_connected",
    "chat_message", "lead_captured", "csat", "agent_disconnected",
)  # fmt: skip
_DEVICES = (("desktop", "Chrome", "Windows"), ("mobile", "Safari", "iOS"), ("mobile", "Chrome", "Android"))
_COUNTRIES = ("DE", "US", "BR", "FR", "AT", "CH", "PL", "NL")
_POISON: tuple[dict[str, Any], ...] = (
    {"name": 7},
    {"name": "page_view", "occurred_at": "yesterday"},
    {"name": "page_view", "colour": "red"},
    {"name": "page_view", "properties": "none"},
    {"name": "widget_opened"},
)
_encode = msgspec.json.Encoder().encode


class Made(msgspec.Struct, frozen=True):
    """An event to send, and what is to become of it: stored, duplicate or quarantined."""

    id: uuid.UUID
    body: bytes
    fate: str


class _Session(msgspec.Struct):
    id: str
    visitor: str
    chat: bool
    device: tuple[str, str, str]
    country: str
    step: int = 0


class Story:
    """One client's visitors. Repeats are of events that `remember` was told of, so what becomes of them is certain."""

    def __init__(self, seed: int, clock: Callable[[], datetime]) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - to be repeatable, not to be secret
        self._clock = clock
        self._visitors = 0
        self._sessions = [self._open() for _ in range(SESSIONS_AT_ONCE)]
        self._acked: deque[Made] = deque(maxlen=REMEMBERED)

    def next(self) -> Made:
        """Tell what happens next."""
        dice = self._rng.random()
        if dice < REPEAT_SHARE and self._acked:
            again = self._rng.choice(self._acked)
            return Made(again.id, again.body, "duplicate")
        event_id = self._new_id()
        if dice > 1 - POISON_SHARE:
            event = {"event_id": str(event_id), **self._rng.choice(_POISON)}
            return Made(event_id, _encode(event), "quarantined")
        return Made(event_id, _encode({"event_id": str(event_id), **self._happening()}), "stored")

    def mark(self, name: str) -> Made:
        """Make an event of a name of its own."""
        event_id = self._new_id()
        body = {"event_id": str(event_id), "name": name, "occurred_at": self._clock().isoformat()}
        return Made(event_id, _encode(body), "stored")

    def remember(self, made: Made) -> None:
        """Note that an event was acknowledged."""
        self._acked.append(made)

    def _happening(self) -> dict[str, Any]:
        place = self._rng.randrange(SESSIONS_AT_ONCE)
        session = self._sessions[place]
        session.step += 1
        if session.step >= EVENTS_PER_SESSION:
            self._sessions[place] = self._open()
        event = {"occurred_at": self._clock().isoformat(timespec="milliseconds"), "session_id": session.id}
        return event | (self._say(session) if session.chat else self._browse(session))

    def _browse(self, session: _Session) -> dict[str, Any]:
        rng = self._rng
        (name,) = rng.choices(list(_WEB), list(_WEB.values()))
        page, (device, browser, system) = int(200 * rng.random() ** 2), session.device
        event: dict[str, Any] = {
            "name": name,
            "visitor_id": session.visitor,
            "page": {"url": f"https://birch.example/p/{page}?utm_source=newsletter&utm_medium=email",
                     "title": f"Page {page}", "referrer": f"https://r{page % 50}.example/"},
            "context": {"device": device, "browser": browser, "os": system, "country": session.country},
            "properties": {"product_id": f"p{page % 100}", "section": f"section {page % 5}",
                           "href": f"https://l{page % 40}.example/", "step": session.step, "theme": "dark"},
        }  # fmt: skip
        if name == "purchase":
            event |= {"amount": page + 0.5, "currency": "EUR"}
            event["properties"] = {
                "order_id": f"o{rng.getrandbits(40)}", "payment_method": rng.choice(("card", "invoice")),
                "items": [{"product_id": f"p{page % 100}", "quantity": 1, "price": page}],
            }  # fmt: skip
        return event

    def _say(self, session: _Session) -> dict[str, Any]:
        name = _CHAT[session.step % len(_CHAT)]
        said: dict[str, dict[str, Any]] = {
            "chat_message": {"role": "user", "text": "Where is my order? " * 3, "intent": "order", "tokens_in": 40},
            "lead_captured": {"name": "A. Visitor", "email": f"{session.visitor}@example.com", "source": "chat"},
            "agent_connected": {"agent": "Kim"},
            "agent_disconnected": {"agent": "Kim"},
            "csat": {"agent": "Kim", "score": 4},
        }
        return {"name": name, "properties": said.get(name, {})}

    def _open(self) -> _Session:
        rng = self._rng
        if rng.random() < NEW_VISITOR_SHARE:
            self._visitors += 1
        return _Session(
            id=f"s-{rng.getrandbits(64):016x}",
            visitor=f"v-{int(rng.random() * (self._visitors + 1))}",
            chat=rng.random() < CHAT_SHARE,
            device=rng.choice(_DEVICES),
            country=rng.choice(_COUNTRIES),
        )

    def _new_id(self) -> uuid.UUID:
        return uuid.UUID(int=self._rng.getrandbits(128), version=4)
