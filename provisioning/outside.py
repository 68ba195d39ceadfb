"""Fetch a small file from an address that anybody may have given, without being led into our own network.

Called by `provisioning.logos` and `provisioning.domains`. A name is resolved once, every address that it has must be
a public one, and exactly those are connected to; TLS and `Host` keep the name. OWASP, "SSRF Prevention".
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

TIMEOUT_S = 10.0
PORTS = {"http": 80, "https": 443}
USER_AGENT = "Grove"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
# Public by number, but answered by the machine's own hoster, or leading to an IPv4 address that nobody has judged.
_CLOSED = tuple(
    ip_network(text) for text in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16")
)
# All that was ever given out of IPv6; IPv4 within IPv6 is elsewhere.
_IPV6 = ip_network("2000::/3")
Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[Address]]]


class OutsideRefused(Exception):
    """The file is not taken, or not to be had; the text says why to whoever gave the address."""


class Fetched(msgspec.Struct, frozen=True):
    """A file, and the status that it came with."""

    status: int
    content: bytes


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the internet's, and not a way back to us or to what stands beside us."""
    if not address.is_global or address.is_multicast or (address.version == _IPV6.version and address not in _IPV6):
        return False
    return not any(address.version == closed.version and address in closed for closed in _CLOSED)


async def resolve_name(name: str, port: int) -> list[Address]:
    """Look a name up; none if there is no such name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(ip_address(str(row[4][0]).partition("%")[0]) for row in found))


class Outside:
    """The world outside. The options are for tests, whose world is on loopback and where `reach` maps ports."""

    def __init__(
        self,
        *,
        resolve: Resolve = resolve_name,
        is_open: Callable[[Address], bool] = is_public,
        reach: Mapping[int, int] | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._resolve = resolve
        self._is_open = is_open
        self._reach = reach or {}
        self._tls = tls
        self._timeout_s = timeout_s

    async def fetch(self, url: str, *, max_bytes: int, hops: int = 0) -> Fetched:
        """Fetch a file, following as many redirections as `hops` says, each judged like the first address.

        Errors: OutsideRefused.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                for _ in range(hops + 1):
                    found = await self._ask(url, max_bytes)
                    if isinstance(found, Fetched):
                        return found
                    url = found
        except TimeoutError as error:
            raise OutsideRefused(f"no answer within {self._timeout_s:g} seconds") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OutsideRefused("the address cannot be reached") from error
        raise OutsideRefused("the address leads on to others")

    async def _ask(self, url: str, max_bytes: int) -> Fetched | str:
        """Send one request; return what came, or where it leads."""
        name, port = self._judge(url)
        addresses = await self._addresses(name, port)
        pinned = _Pinned(addresses, self._reach.get(port, port))
        connector = aiohttp.TCPConnector(resolver=pinned, use_dns_cache=False, ssl=self._tls or True)
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
        async with (
            aiohttp.ClientSession(
                connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session,
            session.get(URL(url), headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status in _REDIRECTS and "Location" in answer.headers:
                return urljoin(url, answer.headers["Location"])
            return Fetched(answer.status, await _read(answer, max_bytes))

    def _judge(self, url: str) -> tuple[str, int]:
        """Return host and port of an address whose form is one that we go to."""
        parts = urlsplit(url)
        port = PORTS.get(parts.scheme)
        if port is None:
            raise OutsideRefused("the address is neither http nor https")
        if parts.username is not None or parts.password is not None:
            raise OutsideRefused("the address holds a password")
        host = URL(url).host  # as it is going to be asked for
        if not host or parts.port not in {None, port}:
            raise OutsideRefused("the address names another port than those of the web")
        return host, port

    async def _addresses(self, name: str, port: int) -> list[Address]:
        try:
            addresses = [ip_address(name)]
        except ValueError:
            addresses = await self._resolve(name, port)
        if not addresses:
            raise OutsideRefused("there is no such host")
        if not all(self._is_open(address) for address in addresses):
            raise OutsideRefused("the host is not on the public internet")
        return addresses


class _Pinned(AbstractResolver):
    """Answers every question with the addresses that were judged."""

    def __init__(self, addresses: list[Address], port: int) -> None:
        self._addresses = addresses
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return them as aiohttp wants them."""
        del port, family
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=self._port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,  # noqa: PLR2004 - IPv4
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Have nothing to close."""


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if answer.status != _OK:
        return b""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise OutsideRefused("the file is compressed in a way that was not asked for")
    content = b""
    async for part in answer.content.iter_any():
        content += part
        if len(content) > max_bytes:
            raise OutsideRefused(f"the file is larger than {max_bytes} bytes")
    return content
