"""Which address a request comes from, as failed logins are counted by it.

Called by the login. Of `X-Forwarded-For` only what trusted proxies wrote is believed: entries from the right. Unless
it is said how many there are, one is believed that has no public address itself, such as a platform's own.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from litestar.types import Scope

UNKNOWN = "unknown"
# What one household or one rented server has at its disposal.
IPV6_PREFIX = 64


def client_address(scope: Scope, trusted_proxies: int | None) -> str:
    """Return the address of the visitor: IPv4 as it is, IPv6 by its /64.

    Shape: the entry that the outermost trusted proxy added; the peer's own address where fewer entries came than
    there are proxies, or where the entry is no address.
    """
    client = scope.get("client")
    peer = _parse(client[0] if client else "")
    if trusted_proxies is None:
        trusted_proxies = int(peer is None or not peer.is_global)
    entries = _forwarded(scope) if trusted_proxies else []
    entry = entries[-trusted_proxies] if len(entries) >= trusted_proxies > 0 else ""
    address = _parse(entry) or peer
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)


def _forwarded(scope: Scope) -> list[str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [entry.strip() for entry in ",".join(lines).split(",")] if lines else []


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with a port or without."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
