"""Scripts that sites load: plain and compressed, and kept by browsers for as long as they do not change.

Used by `app.api.sdk` and `app.api.tag`.
"""

import gzip
import hashlib
from typing import Any

import msgspec
from litestar import Request, Response

from app.api.encodings import takes_gzip


class Script(msgspec.Struct, frozen=True):
    """A script. `tag` tells versions of it apart."""

    content: bytes
    compressed: bytes
    tag: str


def make_script(text: str) -> Script:
    """Make a script."""
    content = text.encode()
    return Script(content, gzip.compress(content, 9, mtime=0), hashlib.sha256(content).hexdigest()[:16])


def answer_script(request: Request[Any, Any, Any], script: Script, headers: dict[str, str]) -> Response[bytes]:
    """Answer with a script, compressed for whoever inflates it, or with 304 where the browser has it."""
    gzipped = takes_gzip(request.headers.get("accept-encoding", ""))
    headers = headers | {"ETag": f'"{script.tag}{"-gzip" if gzipped else ""}"', "X-Content-Type-Options": "nosniff"}
    known = request.headers.get("if-none-match", "")
    if not {"*", headers["ETag"]}.isdisjoint(tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(b"", status_code=304, headers=headers)
    if gzipped:
        headers |= {"Content-Encoding": "gzip"}
    content = script.compressed if gzipped else script.content
    if request.method == "HEAD":
        headers |= {"Content-Length": str(len(content))}
        content = b""
    return Response(content, media_type="text/javascript", headers=headers)
