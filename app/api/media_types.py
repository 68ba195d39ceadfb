"""Refuse bodies that are no JSON before a route reads them as such.

Called by Litestar before every handler; collection has rules of its own.
"""

from typing import Any

from litestar import Request

from tenants.errors import UnsupportedBody


async def require_json(request: Request[Any, Any, Any]) -> None:
    """Check the declared type of a body; one that declares none is taken for JSON.

    Errors: UnsupportedBody.
    """
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {"", "application/json"} and not media_type.endswith("+json"):
        raise UnsupportedBody("Send the body as application/json.")
