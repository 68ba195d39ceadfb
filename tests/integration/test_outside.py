"""Fetching from servers that somebody else runs, here on loopback: what comes is little, soon, and from there alone."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from provisioning.outside import Address, Fetched, Outside, OutsideRefused
from tests.support.certificates import make_certificate
from tests.support.loopback import Answer, Call, serve

LIMIT = 1000


def loopback(url: str, *, timeout_s: float = 5.0, tls: ssl.SSLContext | None = None) -> Outside:
    """See a world in which every name of `.example` is this server, and nothing else is open."""

    async def resolve(name: str, _port: int) -> list[Address]:
        return [ip_address("127.0.0.1" if name.endswith(".example") else "10.0.0.1")]

    port = urlsplit(url).port or 0
    return Outside(
        resolve=resolve, is_open=lambda address: str(address) == "127.0.0.1", reach={80: port, 443: port},
        tls=tls, timeout_s=timeout_s,
    )  # fmt: skip


@asynccontextmanager
async def raw_server(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Answer every connection in a way of one's own; yield the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await talk(writer)
        except ConnectionError:
            writer.transport.abort()
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_the_name_is_kept_and_nothing_else_is_told() -> None:
    seen: list[Call] = []

    async def answer(call: Call) -> Answer:
        seen.append(call)
        return Answer(200, page="a logo")

    async with serve(answer) as url:
        found = await loopback(url).fetch("http://maple.example/logo.png?v=1", max_bytes=LIMIT)
    assert found == Fetched(200, b"a logo")
    assert seen[0].headers == {
        "host": "maple.example", "user-agent": "Grove", "accept": "*/*", "accept-encoding": "identity",
    }  # fmt: skip


async def test_redirections_are_judged_like_the_first_address() -> None:
    async def answer(call: Call) -> Answer:
        where = {
            "/once": "http://www.maple.example/logo", "/relative": "/logo", "/loop": "/loop",
            "/inside": "http://metadata.internal/", "/port": "http://maple.example:22/",
            "/address": "http://169.254.169.254/", "/file": "file:///etc/passwd",
        }  # fmt: skip
        to = where.get(call.path)
        return Answer(200, page="a logo") if to is None else Answer(302, page="", headers={"location": to})

    async with serve(answer) as url:
        outside, base = loopback(url), "http://maple.example"
        for path in ("/once", "/relative"):
            assert (await outside.fetch(base + path, max_bytes=LIMIT, hops=3)).content == b"a logo"
            with pytest.raises(OutsideRefused, match="leads on"):
                await outside.fetch(base + path, max_bytes=LIMIT)
        for path in ("/inside", "/port", "/address", "/file", "/loop"):
            with pytest.raises(OutsideRefused):
                await outside.fetch(base + path, max_bytes=LIMIT, hops=3)


async def test_only_so_much_is_read_and_nothing_is_unpacked() -> None:
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()
            sent += 10_000

    async with raw_server(flood) as port:
        with pytest.raises(OutsideRefused, match="larger"):
            await loopback(f"http://x:{port}").fetch("http://maple.example/", max_bytes=LIMIT)
    assert sent < 50_000_000

    async def pack(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b")

    async with raw_server(pack) as port:
        with pytest.raises(OutsideRefused, match="compressed"):
            await loopback(f"http://x:{port}").fetch("http://maple.example/", max_bytes=LIMIT)


async def test_who_dawdles_or_talks_nonsense_is_left() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    async def babble(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    async with raw_server(drip) as port:
        with pytest.raises(OutsideRefused, match="within"):
            await loopback(f"http://x:{port}", timeout_s=0.5).fetch("http://maple.example/", max_bytes=LIMIT)
    async with raw_server(babble) as port:
        with pytest.raises(OutsideRefused, match="cannot be reached"):
            await loopback(f"http://x:{port}").fetch("http://maple.example/", max_bytes=LIMIT)
    with pytest.raises(OutsideRefused, match="cannot be reached"):
        await loopback(f"http://x:{port}").fetch("http://maple.example/", max_bytes=LIMIT)


async def test_a_certificate_must_be_of_the_name_that_was_asked_for() -> None:
    async def answer(_call: Call) -> Answer:
        return Answer(200, page="ok")

    certificate = make_certificate("maple.example")
    async with serve(answer, tls=certificate.server) as url:
        outside = loopback(url, tls=certificate.client)
        assert (await outside.fetch("https://maple.example/", max_bytes=LIMIT)).content == b"ok"
        for stranger, host in ((outside, "birch.example"), (loopback(url), "maple.example")):
            with pytest.raises(OutsideRefused, match="cannot be reached"):
                await stranger.fetch(f"https://{host}/", max_bytes=LIMIT)
