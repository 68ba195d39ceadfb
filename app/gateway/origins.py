"""Which origin a request was sent from, and on which it arrived.

Called by `app.gateway`. Whatever changes something, and every websocket, must come from a page of the same origin.
"""

import re
from functools import lru_cache
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import HTTPScope, WebSocketScope

from app.gateway.headers import first
from app.settings import Settings
from tenants.errors import OriginRefused

_HOST = re.compile(r"[a-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9a-f:.]{2,45}\](?::[0-9]{1,5})?")


def host_of(scope: HTTPScope | WebSocketScope) -> str | None:
    """Return the host that was asked for, in lower case; None where there is none or it is no host."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return _read_host(hosts[0]) if len(hosts) == 1 else None


@lru_cache(maxsize=1024)
def _read_host(sent: bytes) -> str | None:
    host = sent.decode("latin-1").lower()
    return host if _HOST.fullmatch(host) else None


def origin_of(scope: HTTPScope | WebSocketScope, settings: Settings) -> str:
    """Return scheme and host as the browser sees them; the scheme is that of the public address."""
    base = urlsplit(settings.base_url)
    return f"{base.scheme}://{host_of(scope) or base.netloc}"


def require_own_origin(scope: HTTPScope | WebSocketScope, origin: str) -> None:
    """Refuse what another site's page sends.

    Errors: OriginRefused.
    """
    sent = first(scope["headers"], b"origin")
    if sent is None:
        # Browsers that send no Origin with a request of their own site say at least which site it is.
        if scope["type"] == ScopeType.HTTP and first(scope["headers"], b"sec-fetch-site") == b"same-origin":
            return
        raise OriginRefused("This must come from a page of this site.")
    if sent.decode("latin-1") != origin:
        raise OriginRefused("This must come from a page of this site.")
