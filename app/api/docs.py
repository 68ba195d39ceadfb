"""The API's documents: OpenAPI 3.1 at `/schema/openapi.json`, and a page at `/docs` and `/api/docs/`.

Registered by `app.asgi`. The page is Swagger UI from a Python package, so that a browser fetches nothing from
anywhere else.
"""

import gzip
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import License, Tag
from litestar.params import FromPath

from app.api.document import complete
from app.api.encodings import takes_gzip
from tenants.errors import NotFound

_PAGE = Path(__file__).parent / "docs_page"
_SWAGGER = Path(str(metadata.distribution("swagger-ui-py").locate_file("swagger_ui/static")))
_ASSETS = {
    "page.css": (_PAGE / "page.css", "text/css"),
    "page.js": (_PAGE / "page.js", "text/javascript"),
    "swagger-ui.css": (_SWAGGER / "swagger-ui.css", "text/css"),
    "swagger-ui.js": (_SWAGGER / "swagger-ui-bundle.js", "text/javascript"),
}
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_WRITTEN = "written_openapi_document"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_DESCRIPTION = """Each client of the agency has a walled-off analytics product of its own.

**Keys.** Send a key as `Authorization: Bearer …` or `X-API-Key`. The key decides the client; anything that belongs to
another client is answered like something that does not exist, with 404.

**Errors** are `application/problem+json` (RFC 9457) with a stable `type` and `code`, a JSON pointer for each offending
value, and the `request_id` that is also in the header `X-Request-Id` and in the server's log.

**Long work** answers 202 with an operation; `Prefer: wait=N` waits for it. Creating requests take an
`Idempotency-Key`. **Limits** are told in `RateLimit` and `RateLimit-Policy`; who has used one up gets 429 and, in
`Retry-After`, for how many seconds. **Lists** come in pages: give `meta.next` as `cursor`. **Times** are RFC 3339."""


class Document(JsonRenderPlugin):
    """Serves the completed document, and what is not there as every other path does."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Write the document; it is the same for as long as the process runs, and takes long to make."""
        state = request.app.state
        if _WRITTEN not in state:
            state[_WRITTEN] = self.render_json(request, complete(openapi_schema))
        written: bytes = state[_WRITTEN]
        return written

    def receive_router(self, router: Router) -> None:
        """Keep Litestar's own page for unknown documents from being sent."""
        router.after_request = _refuse_unknown


async def _refuse_unknown(response: Response[Any]) -> Response[Any]:
    if response.status_code == 404:  # noqa: PLR2004 - Litestar's HTML page
        raise NotFoundException
    return response


@get(
    ["/docs", "/api/docs"],
    tags=["Operation"],
    summary="Read this documentation",
    description="A page on which every operation can be read and tried.",
    media_type=MediaType.HTML,
    sync_to_thread=False,
)
def show_page() -> Response[bytes]:
    """Answer with the page."""
    headers = {**_HEADERS, "Content-Security-Policy": _CSP, "Cache-Control": "no-cache"}
    return Response((_PAGE / "index.html").read_bytes(), media_type=MediaType.HTML, headers=headers)


@get("/docs/{name:str}", include_in_schema=False, sync_to_thread=True)
def show_asset(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer with a file that the page loads."""
    if name not in _ASSETS:
        raise NotFound("No such file.")
    media_type = _ASSETS[name][1]
    headers = {**_HEADERS, "Cache-Control": "public, max-age=3600", "Vary": "Accept-Encoding"}
    if takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(_compressed(name), media_type=media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(_ASSETS[name][0].read_bytes(), media_type=media_type, headers=headers)


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(_ASSETS[name][0].read_bytes(), mtime=0)


OPENAPI = OpenAPIConfig(
    title="Grove",
    version=metadata.version("grove"),
    description=_DESCRIPTION,
    license=License(name="MIT", identifier="MIT"),
    path="/schema",
    render_plugins=[Document(media_type=MediaType.JSON)],
    use_handler_docstrings=True,
    tags=[
        Tag("Collection", "Events in."),
        Tag("Web analytics", "Answers out: what the visitors of one client's sites did, exactly."),
        Tag("Quarantine", "What could not be stored: inspect, edit, replay, purge."),
        Tag("Adaptors", "Sites that are collected from by a tag, with rules instead of code."),
        Tag("Webhook sources", "Services whose webhooks become events: Stripe, Shopify, Chatwoot, and any other."),
        Tag("Schemas", "What events look like: checked when they come in, read as views, dashboards and types."),
        Tag("Chatbot analytics", "Answers out: funnel, days, hours, leads and sessions of one client."),
        Tag("Clients", "Onboard, change and remove clients, and see what was done and used."),
        Tag("Keys", "Create, rotate and revoke keys."),
        Tag("Staff", "The people who log in to look at a client's figures."),
        Tag("Operations", "Follow long work."),
        Tag("Operation", "Health, metrics and documents; these need no key."),
    ],
)
handlers = [show_page, show_asset]
