"""The path of a request as it was sent: what is escaped in it stays so, and has one reading.

Called by `app.api.tag` and `app.gateway.front`.
"""

from litestar.types import HTTPScope, WebSocketScope


def raw_path(scope: HTTPScope | WebSocketScope) -> bytes:
    """Return the path as it was sent; a server that does not hand it over hands a decoded one, encoded again here."""
    raw = scope.get("raw_path")
    return raw.partition(b"?")[0] if raw else scope["path"].encode("utf-8", "surrogateescape")
