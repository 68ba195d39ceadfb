"""Answer what went wrong on a page with a page, and whoever has to log in with the way there.

The exception handler of the routes of this package, and of browsers at paths below a client's that lead nowhere; what
asks for data instead of a page gets a problem, as ever.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from litestar.exceptions import NotFoundException
from litestar.types import Scope

from app.auth.destinations import login_page
from app.auth.staff import find_member
from app.console.brand import NEUTRAL, Brand, brand_of
from app.console.layout import see_other, show
from app.console.visit import prefix_of
from app.problems import INTERNAL, describe, problem_response
from tenants.errors import GroveError, NotFound, Unauthenticated
from tenants.ids import TenantId, is_client_id

if TYPE_CHECKING:
    from tenants.registry import Registry

_SERVER_FAULT = 500
_TITLES = {404: "There is no such page", 403: "This is not open to you", 503: "Not available at the moment"}
_TEXTS = {
    404: "Check the address, or go back to where you came from.",
    403: "Ask whoever gave you access.",
    503: "Please try again in a moment.",
}


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer an exception of a page's route."""
    client_id = str(request.path_params.get("client_id", ""))
    prefix = prefix_of(request.scope, client_id)
    is_page = _is_page(request)
    is_signed_out = isinstance(error, Unauthenticated | NotFound) and "staff_id" not in request.scope["state"]
    below = _raw_path(request.scope).removeprefix(f"/{client_id}") or "/"
    if is_signed_out and prefix and (not is_client_id(client_id) or (below == "/" and not is_page)):
        # What can be no client's, and what asks for no page, looks like any path that leads nowhere.
        error = NotFound("There is no such page.")
    elif is_signed_out and is_page:
        query = request.scope.get("query_string", b"").decode("latin-1")
        return see_other(login_page(prefix, prefix + below + (f"?{query}" if query else "")))
    return show_error(request, error, prefix) if is_page else problem_response(error, request.scope)


async def recognise_lost_staff(error: Exception, scope: Scope) -> None:
    """Find out whose staff came to a path that no route has, so that the page can be theirs; others stay strangers."""
    client_id = _lost_at(Request(scope)) if isinstance(error, NotFoundException) else None
    if client_id is not None:
        state = scope["litestar_app"].state
        with suppress(GroveError):
            member = await find_member(scope, client_id, state.settings, state.sessions)
            await state.registry.get_client(member.client_id)


def answer_lost(request: Request[Any, Any, Any], error: NotFoundException) -> Response[Any]:
    """Answer at a path that no route has."""
    client_id = _lost_at(request)
    if client_id is None:
        return problem_response(error, request.scope)
    return show_error(request, error, prefix_of(request.scope, client_id))


def show_error(request: Request[Any, Any, Any], error: Exception, prefix: str) -> Response[Any]:
    """Show what went wrong under the client's brand, in words that tell a stranger nothing."""
    kind, headers, _ = describe(error, request.scope)
    if kind is INTERNAL:
        problem_response(error, request.scope)  # which logs it
    text = _TEXTS.get(kind.status, "Please try again; if it stays like this, tell whoever gave you access.")
    title = _TITLES.get(kind.status, kind.title if kind.status < _SERVER_FAULT else "Something went wrong here")
    return show(
        "error.html", _brand(request), prefix, status=kind.status, headers=headers, title=title, text=text,
        request_id=str(request.scope["state"].get("request_id", "")), is_known="staff_id" in request.scope["state"],
    )  # fmt: skip


def _lost_at(request: Request[Any, Any, Any]) -> str | None:
    """Return whose path it is that a browser came to; None where it can be no client's, or no page is asked for."""
    client_id = request.scope["path"].split("/")[1]
    reserved: frozenset[str] = request.app.state.get("reserved", frozenset({client_id}))  # none before the start
    return client_id if _is_page(request) and is_client_id(client_id) and client_id not in reserved else None


def _is_page(request: Request[Any, Any, Any]) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _raw_path(scope: Scope) -> str:
    """Return the path as it was sent, with the slash at its end that the router takes away."""
    raw: bytes | None = scope.get("raw_path")
    return raw.partition(b"?")[0].decode("latin-1") if raw else scope["path"]


def _brand(request: Request[Any, Any, Any]) -> Brand:
    """Return the brand of whoever is logged in; nobody else learns one here."""
    state = request.scope["state"]
    registry: Registry = request.app.state.registry
    client = registry.peek(TenantId(state["client_id"])) if "staff_id" in state else None
    return NEUTRAL if client is None else brand_of(client)
