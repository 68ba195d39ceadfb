"""Answer what went wrong on a page with a page, and whoever has to log in with the way there.

The exception handler of the routes of this package; what asks for data instead of a page gets a problem, as ever.
"""

from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from litestar.types import Scope

from app.auth.destinations import login_page
from app.console.brand import NEUTRAL, Brand, brand_of
from app.console.layout import see_other, show
from app.console.visit import prefix_of
from app.problems import INTERNAL, describe, problem_response
from tenants.errors import NotFound, Unauthenticated
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
    is_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    is_signed_out = isinstance(error, Unauthenticated | NotFound) and "staff_id" not in request.scope["state"]
    below = _raw_path(request.scope).removeprefix(f"/{client_id}") or "/"
    if is_signed_out and prefix and (not is_client_id(client_id) or (below == "/" and not is_page)):
        # What can be no client's, and what asks for no page, looks like any path that leads nowhere.
        error = NotFound("There is no such page.")
    elif is_signed_out and is_page:
        query = request.scope.get("query_string", b"").decode("latin-1")
        return see_other(login_page(prefix, prefix + below + (f"?{query}" if query else "")))
    return show_error(request, error, prefix) if is_page else problem_response(error, request.scope)


def show_error(request: Request[Any, Any, Any], error: Exception, prefix: str) -> Response[Any]:
    """Show what went wrong under the client's brand, in words that tell a stranger nothing."""
    kind, headers, _ = describe(error, request.scope)
    if kind is INTERNAL:
        problem_response(error, request.scope)  # which logs it
    text = _TEXTS.get(kind.status, "Please try again; if it stays like this, tell whoever gave you access.")
    title = _TITLES.get(kind.status, kind.title if kind.status < _SERVER_FAULT else "Something went wrong here")
    return show(
        "error.html", _brand(request), prefix, status=kind.status, headers=headers, title=title, text=text,
        request_id=str(request.scope["state"].get("request_id", "")),
    )  # fmt: skip


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
