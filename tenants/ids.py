"""Names by which clients are known, and the opaque names by which databases know them.

A client id is public (it is part of paths); names of schemas, roles and databases are random, so that
whatever a catalog still shows tells nobody who else is a client.
"""

import re
import secrets
import uuid
from typing import NewType

from asyncpg.pgproto.pgproto import UUID

TenantId = NewType("TenantId", str)

CLIENT_ID_PATTERN = r"^[a-z][a-z0-9-]{1,38}$"
_CLIENT_ID = re.compile(CLIENT_ID_PATTERN)
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_UUID_LENGTH = 36


def is_client_id(text: str) -> bool:
    """Tell whether `text` is well-formed as a client id; reserved words are another matter."""
    return _CLIENT_ID.fullmatch(text) is not None


def opaque_name() -> str:
    """Make a name for a client's database objects: `t_` and 16 random characters (82 bits)."""
    return "t_" + "".join(secrets.choice(_ALPHABET) for _ in range(16))


def as_uuid(given: str) -> UUID:
    """Give an event or a row its id: a UUID in its usual form as it is, any other string as its uuid5."""
    if len(given) != _UUID_LENGTH:
        return hashed_uuid(given)
    try:
        return UUID(given)
    except ValueError:
        return hashed_uuid(given)


def hashed_uuid(name: str) -> UUID:
    """Make the uuid5 of a name, which is the same each time."""
    return UUID(str(uuid.uuid5(uuid.NAMESPACE_OID, name)))


def function_prefix(schema: str) -> str:
    """Begin the name of one of the client's functions.

    Shape: the opaque name is in the function's own, too. Postgres looks a function up among all of its name, whatever
    their schemas, and each process keeps them all: with the same names, clients would cost each other.
    """
    return f"{quote(schema)}.{schema}_"


def quote(identifier: str) -> str:
    """Quote an SQL identifier; identifiers come from the registry only, and are quoted all the same."""
    return '"' + identifier.replace('"', '""') + '"'
