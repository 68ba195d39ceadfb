"""`/sdk.js`: the script that sites load, in two parts, as `sdk/dist` holds it built.

Registered by `app.asgi`. The same for everybody and public, so any page may load it, and no cookie or key matters.
"""

from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, route

from app.api.scripts import Script, answer_script, make_script

_FOLDER = Path(__file__).parents[2] / "sdk" / "dist"
_FILES = {"/sdk.js": "grove.js", "/analytics-sdk.js": "grove.js", "/sdk-more.js": "grove-more.js"}
# Sites name it without a version: an hour of an old one is what an update costs.
_HEADERS = {
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Accept-Encoding",
}


@route(list(_FILES), http_method=["GET", "HEAD"], include_in_schema=False, sync_to_thread=False)
def show_script(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer with a part of the SDK, or with 304 where the browser has it."""
    return answer_script(request, sdk_script(_FILES[request.scope["path_template"]]), _HEADERS)


@cache
def sdk_script(name: str) -> Script:
    """Read a part of the SDK."""
    return make_script((_FOLDER / name).read_text(encoding="utf-8"))


handlers = [show_script]
