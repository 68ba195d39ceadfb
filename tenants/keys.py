"""API keys: their kinds and scopes, how they are minted, and how a bad one is refused without any I/O.

A key is `grv_{kind}_{32 random base62 characters}_{6 base62 characters of CRC-32}`; at rest there is only
its SHA-256. Called by the key store, by authentication and by provisioning.
"""

import hashlib
import re
import secrets
import zlib
from enum import StrEnum

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"grv_([pasw])_([0-9A-Za-z]{32})_([0-9A-Za-z]{6})", re.ASCII)


class KeyKind(StrEnum):
    """Who holds a key."""

    PLATFORM = "p"
    ADMIN = "a"
    SERVER = "s"
    BROWSER = "w"


class Scope(StrEnum):
    """What a key may do."""

    PLATFORM = "platform"
    MANAGE = "manage"
    WRITE = "write"
    READ = "read"


SCOPES: dict[KeyKind, frozenset[Scope]] = {
    KeyKind.PLATFORM: frozenset({Scope.PLATFORM, Scope.MANAGE}),
    KeyKind.ADMIN: frozenset({Scope.MANAGE, Scope.WRITE, Scope.READ}),
    KeyKind.SERVER: frozenset({Scope.WRITE, Scope.READ}),
    KeyKind.BROWSER: frozenset({Scope.WRITE}),
}


def mint_key(kind: KeyKind) -> str:
    """Make a new key; whoever asked sees it once, and nobody can read it back."""
    body = f"grv_{kind.value}_" + "".join(secrets.choice(_BASE62) for _ in range(32))
    return f"{body}_{_checksum(body)}"


def kind_of(key: str) -> KeyKind | None:
    """Tell a well-formed key's kind; None means it cannot be one of ours, so nothing need be looked up."""
    match = _KEY.fullmatch(key)
    if match is None or _checksum(key[:-7]) != match[3]:
        return None
    return KeyKind(match[1])


def hash_key(key: str) -> bytes:
    """Hash a key for storage and look-up (32 bytes); 190 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits.append(_BASE62[rest])
    return "".join(reversed(digits))
