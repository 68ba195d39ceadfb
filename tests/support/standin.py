"""The smallest web application that a supervisor can run, for tests of the supervisor alone.

Shape: `/health/ready` answers 200, `/slow` after a second, `/stuck` not in our time; `/waiting` tells how many of
these two were accepted so far, `/pid` the process id, `/environ` the environment.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

_DELAYS_S = {"/slow": 1, "/stuck": 3600}
_ANSWERS = {
    "/pid": lambda: str(os.getpid()),
    "/environ": lambda: json.dumps(dict(os.environ)),  # noqa: TID251 - reported, not read
    "/waiting": lambda: str(len(_waiting)),
}
_waiting: list[str] = []

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


def create() -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
    """Build the application."""
    return _answer


def create_broken() -> None:
    """Fail as an application does whose settings are wrong."""
    message = "this application cannot be built"
    raise RuntimeError(message)


async def _answer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    if scope["path"] in _DELAYS_S:
        _waiting.append(scope["path"])
        await asyncio.sleep(_DELAYS_S[scope["path"]])
    body = _ANSWERS.get(scope["path"], lambda: "answered")()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        stage = (await receive())["type"]
        await send({"type": f"{stage}.complete"})
        if stage == "lifespan.shutdown":
            return
