"""Find the key that a request brings.

`Authorization: Bearer`, else `X-API-Key`; on collection paths also `?key=` or `api_key` in the body, because
`sendBeacon` sets no headers, and as the user name of `Authorization: Basic` or `writeKey` in the body, as Segment's
libraries send theirs.
"""

import binascii
import re
from base64 import b64decode
from urllib.parse import parse_qs

from litestar.types import Scope

# What a key is called in a body.
KEY_FIELDS = ("api_key", "writeKey")
_BODY_KEY = re.compile(rf'"(?:{"|".join(KEY_FIELDS)})"\s*:\s*"(grv_[0-9A-Za-z_]{{1,64}})"'.encode())


def header_key(scope: Scope) -> str | None:
    """Take the key from the headers."""
    api_key = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return rest.strip().decode("latin-1")
        elif name == b"x-api-key":
            api_key = value.strip().decode("latin-1")
    return api_key


def basic_key(scope: Scope) -> str | None:
    """Take the key from the user name of `Authorization: Basic`, unless that is somebody else's business."""
    scheme, _, rest = (header(scope, b"authorization") or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user = b64decode(rest.strip(), validate=True).partition(b":")[0]
    except binascii.Error:
        return None
    return user.decode("latin-1") if user.startswith(b"grv_") else None


def query_key(scope: Scope) -> str | None:
    """Take the key from `?key=`."""
    query = scope.get("query_string", b"")
    if b"key=" not in query:
        return None
    return parse_qs(query.decode("latin-1")).get("key", [None])[0]


def body_key(body: bytes) -> str | None:
    """Take the key from `api_key` or `writeKey` in a JSON body; every event of a request shares it."""
    match = _BODY_KEY.search(body)
    return None if match is None else match[1].decode()


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """Return the first header of this lower-case name."""
    for name, value in scope["headers"]:
        if name == wanted:
            return value
    return None
