"""`/sdk.js`: the script that sites load, in two parts, as `sdk/dist` holds it built.

Registered by `app.asgi`. The same for everybody and public, so any page may load it, and no cookie or key matters.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get

_FOLDER = Path(__file__).parents[2] / "sdk" / "dist"
_FILES = {"/sdk.js": "grove.js", "/analytics-sdk.js": "grove.js", "/sdk-more.js": "grove-more.js"}
# Sites name it without a version: an hour of an old one is what an update costs.
_HEADERS = {
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


class Script(msgspec.Struct, frozen=True):
    """A file as it is sent."""

    content: bytes
    headers: dict[str, str]


@get(list(_FILES), include_in_schema=False, sync_to_thread=False)
def show_script(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer with a part of the SDK, or with 304 where the browser has it."""
    script = _script(
        _FILES[request.scope["path_template"]], gzipped="gzip" in request.headers.get("accept-encoding", "")
    )
    known = request.headers.get("if-none-match", "")
    if script.headers["ETag"] in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
        return Response(b"", status_code=304, headers=script.headers)
    return Response(script.content, media_type="text/javascript", headers=script.headers)


@cache
def _script(name: str, *, gzipped: bool) -> Script:
    content = (_FOLDER / name).read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:16]
    if not gzipped:
        return Script(content, _HEADERS | {"ETag": f'"{tag}"'})
    compressed = gzip.compress(content, 9, mtime=0)
    return Script(compressed, _HEADERS | {"ETag": f'"{tag}-gzip"', "Content-Encoding": "gzip"})


handlers = [show_script]
