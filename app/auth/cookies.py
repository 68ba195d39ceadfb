"""Which cookies staff have, under which names and for which paths.

Called by the login and by whatever finds out who is there. Prefixes make browsers refuse a cookie that is not as it
must be: over https, and with `__Host-` for this host alone.
"""

from urllib.parse import urlsplit

import msgspec
from litestar.datastructures import Cookie
from litestar.types import Scope

from app.settings import Settings

SESSION, FORM, DEVICE = "grove", "grove-form", "grove-device"
# Set in a scope's state by what serves a client on its own host.
HOST_MODE = "own_host"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MAX_VALUE = 500


class CookieJar(msgspec.Struct, frozen=True):
    """How the cookies of one client's pages are named and kept.

    Shape: path mode: `__Secure-…` with the client's path; host mode: `__Host-…` with `/`; plain HTTP: no prefix.
    """

    prefix: str
    path: str

    def name(self, kind: str) -> str:
        """Name a cookie."""
        return self.prefix + kind

    def read(self, scope: Scope, kind: str) -> str | None:
        """Take a cookie from a request."""
        wanted = self.name(kind).encode()
        for name, value in scope["headers"]:
            if name != b"cookie":
                continue
            for pair in value.split(b";"):
                key, _, text = pair.strip().partition(b"=")
                if key == wanted and len(text) <= _MAX_VALUE:
                    return text.decode("latin-1")
        return None

    def make(self, kind: str, value: str, *, max_age: int | None = None) -> Cookie:
        """Make a cookie that no script can read and no other site makes a browser post."""
        return Cookie(
            key=self.name(kind), value=value, path=self.path, max_age=max_age, secure=bool(self.prefix), httponly=True,
            samesite="lax",
        )  # fmt: skip

    def drop(self, kind: str) -> Cookie:
        """Make a cookie that ends one."""
        return self.make(kind, "", max_age=0)


def cookie_jar(settings: Settings, scope: Scope, client_id: str) -> CookieJar | None:
    """Return the cookies for a request, or None where the way to this server is plain HTTP over a network."""
    address = urlsplit(settings.base_url)
    own_host = bool(scope.get("state", {}).get(HOST_MODE))
    path = "/" if own_host else f"/{client_id}/"
    if address.scheme == "https":
        return CookieJar("__Host-" if own_host else "__Secure-", path)
    return CookieJar("", path) if address.hostname in _LOOPBACK else None
