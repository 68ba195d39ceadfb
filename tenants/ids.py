"""Names by which clients are known, and the opaque names by which databases know them.

A client id is public (it is part of paths); names of schemas, roles and databases are random, so that
whatever a catalog still shows tells nobody who else is a client.
"""

import re
import secrets
from typing import NewType

TenantId = NewType("TenantId", str)

CLIENT_ID_PATTERN = r"^[a-z][a-z0-9-]{1,38}$"
_CLIENT_ID = re.compile(CLIENT_ID_PATTERN)
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def is_client_id(text: str) -> bool:
    """Tell whether `text` is well-formed as a client id; reserved words are another matter."""
    return _CLIENT_ID.fullmatch(text) is not None


def opaque_name() -> str:
    """Make a name for a client's database objects: `t_` and 16 random characters (82 bits)."""
    return "t_" + "".join(secrets.choice(_ALPHABET) for _ in range(16))


def quote(identifier: str) -> str:
    """Quote an SQL identifier; identifiers come from the registry only, and are quoted all the same."""
    return '"' + identifier.replace('"', '""') + '"'
