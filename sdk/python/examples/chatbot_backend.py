"""A chatbot's backend that tells Grove of its conversations.

    GROVE_KEY=grv_s_… GROVE_URL=http://127.0.0.1:8000 granian --interface asgi --port 9000 chatbot_backend:app

`POST /chat {"session_id": "s1", "text": "I want to talk to a person"}` answers as the bot does.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from grove_analytics import Grove
from litestar import Litestar, post
from litestar.datastructures import State

ANSWERS = {
    "greeting": (("hello", "hi "), "Hello! What can I do for you?"),
    "opening_hours": (("open", "hours"), "We are there from nine to six, Monday to Friday."),
    "human": (("person", "human", "agent"), "I am getting somebody for you."),
}
FALLBACK = "I did not understand that. Would you like to talk to a person?"


@dataclass
class Message:
    """What a visitor says."""

    session_id: str
    text: str


@dataclass
class Reply:
    """What the bot says."""

    intent: str | None
    text: str


def find_reply(text: str) -> Reply:
    """Look for words that give an intent away."""
    for intent, (words, answer) in ANSWERS.items():
        if any(word in text.lower() for word in words):
            return Reply(intent, answer)
    return Reply(None, FALLBACK)


@post("/chat", status_code=200)
async def chat(data: Message, state: State) -> Reply:
    """Answer a message, and tell Grove both sides of it."""
    grove: Grove = state.grove
    started = time.monotonic()
    reply = find_reply(data.text)
    grove.track("chat_message", session_id=data.session_id, properties={"role": "user", "text": data.text})
    grove.track(
        "chat_message",
        session_id=data.session_id,
        properties={
            "role": "assistant",
            "text": reply.text,
            "intent": reply.intent,
            "fallback": reply.intent is None,
            "latency_ms": (time.monotonic() - started) * 1_000,
        },
    )
    if reply.intent == "human":
        grove.track("requested_human", session_id=data.session_id)
    return reply


@asynccontextmanager
async def open_grove(app: Litestar) -> AsyncIterator[None]:
    """Have a Grove for as long as the bot runs; made here, after the server has forked."""
    with Grove(os.environ["GROVE_KEY"], os.environ["GROVE_URL"], spool=os.environ.get("GROVE_SPOOL")) as grove:
        app.state.grove = grove
        yield


app = Litestar([chat], lifespan=[open_grove])
