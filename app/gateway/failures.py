"""Answer what went wrong in front of Grafana: a page for a page, a problem for data, the login for who has no session.

Called by `app.gateway.front`.
"""

from typing import Any

import msgspec
from litestar import Request
from litestar.types import HTTPScope, Send, WebSocketScope

from app.auth.destinations import login_page
from app.console.errors import show_error
from app.gateway.gateway import Visit
from app.gateway.headers import accepts
from app.problems import INTERNAL, MEDIA_TYPE, describe, problem_response
from tenants.errors import NotFound, Unauthenticated

_SEE_OTHER = 303
_HTML = "text/html; charset=utf-8"


async def answer_failure(scope: HTTPScope, send: Send, visit: Visit | None, error: Exception) -> None:
    """Answer an exception of a request whose answer has not begun; without a visit nobody knows whose it is."""
    kind, headers, problem = describe(error, scope)
    if kind is INTERNAL:
        problem_response(error, scope)  # which logs it
    known = "staff_id" in scope["state"]
    is_page = scope["method"] == "GET" and accepts(scope["headers"], b"accept", b"text/html")
    if visit is not None and is_page and not known and isinstance(error, Unauthenticated | NotFound):
        location = login_page(visit.home, _wanted(scope, visit))
        await _answer(send, _SEE_OTHER, {"Location": location, "Cache-Control": "no-store"}, b"")
        return
    if visit is not None and is_page:
        page = show_error(Request(scope), error, visit.home)
        await _answer(send, kind.status, {**page.headers, "content-type": _HTML}, str(page.content).encode())
        return
    if not known and isinstance(error, NotFound):
        # Somebody else's session is none here.
        kind, headers, problem = describe(Unauthenticated("Log in first."), scope)
    body = msgspec.json.encode(problem)
    await _answer(send, kind.status, headers | {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}, body)


async def refuse_socket(scope: WebSocketScope, send: Send, error: Exception) -> None:
    """Refuse a websocket before it is open, which the browser sees as 403; what was not expected is logged."""
    if describe(error, scope)[0] is INTERNAL:
        problem_response(error, scope)
    close: Any = {"type": "websocket.close", "code": 4403, "reason": ""}
    await send(close)


def _wanted(scope: HTTPScope, visit: Visit) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return visit.prefix + visit.raw_path.decode("latin-1") + (f"?{query}" if query else "")


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"content-length", b"%d" % len(body)))
    start: Any = {"type": "http.response.start", "status": status, "headers": pairs}
    await send(start)
    end: Any = {"type": "http.response.body", "body": body, "more_body": False}
    await send(end)
