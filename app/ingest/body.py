"""Read a request's body within its limits, inflating gzip as it comes in."""

import asyncio
import zlib
from contextlib import suppress

from litestar.exceptions import ClientException
from litestar.types import Receive, Scope

from app.auth.credentials import header
from app.ingest.patience import Patience
from tenants.errors import BodyTooLarge, BodyTooSlow, InputRefused, UnsupportedBody

MAX_BODY_BYTES = 5 * 1024 * 1024
# Who is cut off while sending sees a broken connection instead of the answer: so much more is read, and not kept.
_DISCARDED_BYTES = 4 * MAX_BODY_BYTES
_DISCARDING_S = 2.0
_DISCARD_S = 2
_GZIP = 16 + zlib.MAX_WBITS
MAX_GZIP_MEMBERS = 16
MAX_BODY_S = 30


async def read_body(scope: Scope, receive: Receive, patience: Patience, *, limit_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Read the whole body; the limit of bytes holds for what is sent and for what it inflates to.

    Errors: BodyTooLarge, BodyTooSlow, UnsupportedBody (an encoding other than gzip), InputRefused (broken gzip).
    """
    declared = _declared_size(scope)
    if declared is not None and declared > limit_bytes:
        await _discard(receive)
        raise BodyTooLarge(limit_bytes)
    encoding = (header(scope, b"content-encoding") or b"identity").strip().lower()
    if encoding not in {b"identity", b"gzip"}:
        raise UnsupportedBody("Content-Encoding may be gzip, or absent.")
    try:
        body = await patience.wait_for(_receive_all(receive, limit_bytes, declared))
    except TimeoutError as error:
        raise BodyTooSlow(patience.limit_s) from error
    return _inflate(body, limit_bytes) if encoding == b"gzip" else body


def _declared_size(scope: Scope) -> int | None:
    declared = header(scope, b"content-length")
    return int(declared) if declared is not None and declared.isdigit() else None


async def _receive_all(receive: Receive, limit_bytes: int, declared: int | None) -> bytes:
    """Receive until the end; what was declared being there is the end, and saves a turn to be told so."""
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
                await _discard(receive)
                raise BodyTooLarge(limit_bytes)
            chunks.append(chunk)
            if size == declared or not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _discard(receive: Receive) -> None:
    left = _DISCARDED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(_DISCARDING_S):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))


def _inflate(body: bytes, limit_bytes: int) -> bytes:
    """Inflate gzip, of one member or a few, never holding more than the limit.

    Each further member copies what is left of the body, so that many would cost the square of their number.
    """
    inflated, rest = bytearray(), body
    try:
        for _ in range(MAX_GZIP_MEMBERS):
            member = zlib.decompressobj(_GZIP)
            inflated += member.decompress(rest, limit_bytes + 1 - len(inflated))
            if len(inflated) > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            if not member.eof:
                raise InputRefused("The gzip body is cut off.", field="", code="invalid_gzip")
            rest = member.unused_data
            if not rest:
                return bytes(inflated)
    except zlib.error as error:
        raise InputRefused("The body is not valid gzip.", field="", code="invalid_gzip") from error
    detail = f"A gzip body has {MAX_GZIP_MEMBERS} members at most."
    raise InputRefused(detail, field="", code="invalid_gzip")
