"""Read the raw path and query of a request for Grafana, and refuse whatever could be read in two ways.

Called by `app.gateway.gateway` before a rule is looked up. The characters that are taken have one reading only: no
escapes, no `//`, no dot segments, no parameters, no backslashes. All else changes under somebody's normalisation.
"""

import re
from urllib.parse import unquote_plus

from tenants.errors import NotFound

MAX_PATH_BYTES = 1024
MAX_QUERY_BYTES = 8192
_PATH = re.compile(rb"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")
_QUERY = re.compile(rb"[!$-:<-~]*")  # printable ASCII without space, `"`, `#` and `;`
# Names that choose an organisation or bring another identity; both are the gateway's to say.
_PINNED = frozenset({"orgid", "targetorgid", "org", "auth_token", "api_key", "access_token", "token", "jwt"})


def read_path(raw: bytes) -> str:
    """Return a path that has one reading.

    Errors: NotFound for any other, as for whatever else is not let through.
    """
    if len(raw) > MAX_PATH_BYTES or not raw.startswith(b"/") or _PATH.fullmatch(raw) is None:
        raise NotFound("There is no such page.")
    return raw.decode("ascii")


def read_query(raw: bytes) -> str:
    """Return a query without what names an organisation or an identity.

    Errors: NotFound where it could be read in two ways.
    """
    if len(raw) > MAX_QUERY_BYTES or _QUERY.fullmatch(raw) is None:
        raise NotFound("There is no such page.")
    pairs = [pair for pair in raw.decode("ascii").split("&") if pair]
    return "&".join(pair for pair in pairs if _name_of(pair) not in _PINNED)


def _name_of(pair: str) -> str:
    """Decode a name as Grafana does, and once more, since dropping too much harms nobody."""
    name = pair.partition("=")[0]
    return unquote_plus(unquote_plus(name)).strip().lower()
