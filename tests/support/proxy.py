"""A network that can be cut or held: a TCP proxy in front of a database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes bytes on while started; while stopped, connections are refused and those that were open are cut.

    While held, connections are taken and stay open, but nothing comes through.
    """

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    @property
    def url(self) -> str:
        """The target's URL, by way of the proxy."""
        netloc = f"{self._target.netloc.rpartition('@')[0]}@127.0.0.1:{self._port}"
        return urlunsplit(self._target._replace(netloc=netloc))

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse and cut."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    def hold(self) -> None:
        """Let nothing through from now on."""
        self._flows.clear()

    def let_go(self) -> None:
        """Let through what was held back, and all that follows."""
        self._flows.set()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        both = {writer, there_writer}
        self._open |= both
        await asyncio.gather(_copy(reader, there_writer, self._flows), _copy(there_reader, writer, self._flows))
        self._open -= both


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
    try:
        while chunk := await reader.read(65_536):
            await flows.wait()
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        writer.transport.abort()
    finally:
        writer.close()


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[Proxy]:
    """Put a started proxy in front of a database."""
    proxy = Proxy(url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
