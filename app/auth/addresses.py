"""Which address a request comes from: failed logins are counted by it, and countries and visitors told from it.

Called by the login and by arrivals. Of `X-Forwarded-For` only what trusted proxies wrote is believed: entries from
the right. Unless it is said how many there are, one is believed that has no public address itself, such as a platform's
own.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from litestar.types import Scope

UNKNOWN = "unknown"
# What one household or one rented server has at its disposal, in bytes.
_IPV6_PREFIX = 8
_IPV4_WITHIN_IPV6 = bytes(10) + b"\xff\xff"


def client_address(scope: Scope, trusted_proxies: int | None) -> str:
    """Return the address of the visitor: IPv4 as it is, IPv6 by its /64.

    Shape: the entry that the outermost trusted proxy added; the peer's own address where fewer entries came than
    there are proxies, or where the entry is no address.
    """
    client = scope.get("client")
    peer = client[0] if client else ""
    if trusted_proxies is None:
        trusted_proxies = int(not _is_public(peer))
    entries = _forwarded(scope) if trusted_proxies else []
    entry = entries[-trusted_proxies] if len(entries) >= trusted_proxies > 0 else ""
    return _parse(entry) or _parse(peer) or UNKNOWN


def _forwarded(scope: Scope) -> list[str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [entry.strip() for entry in ",".join(lines).split(",")] if lines else []


def _bare(text: str) -> str:
    """Take away what may stand around an address: brackets, a port, a zone."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return text.partition("%")[0]


def _parse(text: str) -> str | None:
    """Read an address, with a port or without. By the system's own functions, which take a tenth of `ipaddress`."""
    text = _bare(text)
    try:
        if ":" not in text:
            inet_pton(AF_INET, text)  # which knows one way alone to write it
            return text
        packed = inet_pton(AF_INET6, text)
    except (OSError, ValueError):
        return None
    if packed.startswith(_IPV4_WITHIN_IPV6):
        return inet_ntop(AF_INET, packed[len(_IPV4_WITHIN_IPV6) :])
    return inet_ntop(AF_INET6, packed[:_IPV6_PREFIX].ljust(len(packed), b"\0")) + f"/{8 * _IPV6_PREFIX}"


@lru_cache(maxsize=64)
def _is_public(peer: str) -> bool:
    """Tell whether a peer's address is reached from everywhere; proxies, which come again and again, are kept."""
    try:
        address = ip_address(_bare(peer))
    except ValueError:
        return False
    return ((address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address).is_global
