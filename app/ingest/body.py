"""Read a request's body within its limits, inflating gzip as it comes in."""

import zlib

from litestar.exceptions import ClientException
from litestar.types import Receive, Scope

from app.auth.credentials import header
from tenants.errors import BodyTooLarge, InputRefused, UnsupportedBody

MAX_BODY_BYTES = 5 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(scope: Scope, receive: Receive, *, limit_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Read the whole body; the limit holds for what is sent and for what it inflates to.

    Errors: BodyTooLarge, UnsupportedBody (an encoding other than gzip), InputRefused (broken gzip).
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    encoding = (header(scope, b"content-encoding") or b"identity").strip().lower()
    if encoding not in {b"identity", b"gzip"}:
        raise UnsupportedBody("Content-Encoding may be gzip, or absent.")
    body = await _receive_all(receive, limit_bytes)
    return _inflate(body, limit_bytes) if encoding == b"gzip" else body


async def _receive_all(receive: Receive, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientException("The client went away before its body was complete.")
        if message["type"] == "http.request":
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _inflate(body: bytes, limit_bytes: int) -> bytes:
    """Inflate gzip, of one member or several, never holding more than the limit."""
    inflated, rest = bytearray(), body
    try:
        while rest:
            member = zlib.decompressobj(_GZIP)
            inflated += member.decompress(rest, limit_bytes + 1 - len(inflated))
            if len(inflated) > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            if not member.eof:
                raise InputRefused("The gzip body is cut off.", field="", code="invalid_gzip")
            rest = member.unused_data
    except zlib.error as error:
        raise InputRefused("The body is not valid gzip.", field="", code="invalid_gzip") from error
    return bytes(inflated)
