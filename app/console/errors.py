"""Answer what went wrong on a page with a page, and whoever has to log in with the way there.

The exception handler of the routes of this package; what asks for data instead of a page gets a problem, as ever.
"""

from typing import TYPE_CHECKING, Any

from litestar import Request, Response

from app.auth.destinations import login_page
from app.console.brand import NEUTRAL, Brand, brand_of
from app.console.layout import see_other, show
from app.console.visit import prefix_of
from app.problems import INTERNAL, describe, problem_response
from tenants.errors import NotFound, Unauthenticated
from tenants.ids import TenantId

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
    if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
        return problem_response(error, request.scope)
    client_id = str(request.path_params.get("client_id", ""))
    prefix = prefix_of(request.scope, client_id)
    if isinstance(error, Unauthenticated | NotFound) and "staff_id" not in request.scope["state"]:
        query = request.scope.get("query_string", b"").decode("latin-1")
        wanted = prefix + request.scope["path"].removeprefix(f"/{client_id}") + (f"?{query}" if query else "")
        return see_other(login_page(prefix, wanted))
    return show_error(request, error, prefix)


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


def _brand(request: Request[Any, Any, Any]) -> Brand:
    """Return the brand of whoever is logged in; nobody else learns one here."""
    state = request.scope["state"]
    registry: Registry = request.app.state.registry
    client = registry.peek(TenantId(state["client_id"])) if "staff_id" in state else None
    return NEUTRAL if client is None else brand_of(client)
