"""A network that can be cut, slowed or silenced: a TCP proxy in front of a database or a Redis."""

import asyncio
import ssl  # noqa: TC003 - an attribute's type
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

# A simple query as the driver sends it for a unit of work's end.
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_CHUNK = 65_536
# How a driver asks whether a server speaks TLS.
_TLS_WANTED = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


class Cut(Enum):
    """Where a connection breaks."""

    BEFORE_COMMIT = "before the server reads COMMIT"
    AFTER_COMMIT = "after the server has committed, before its answer gets through"


class Proxy:
    """Passes bytes on while started; while stopped, connections are refused and those that were open are cut.

    While held, connections are taken and stay open, but nothing comes through: packets are lost, and nobody is told.
    `cut` is done once, at the next COMMIT, and then forgotten. `delay_s` is how much longer each answer takes. With
    `tls` it stands before a Postgres without TLS, and speaks it on that one's behalf.
    """

    def __init__(self, target: str) -> None:
        self.cut: Cut | None = None
        self.cuts = 0
        self.delay_s = 0.0
        self.tls: ssl.SSLContext | None = None
        self._target = urlsplit(target)
        self._port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    @property
    def url(self) -> str:
        """The target's URL, by way of the proxy."""
        netloc = f"{self._target.netloc.rpartition('@')[0]}@127.0.0.1:{self._port}"
        return urlunsplit(self._target._replace(netloc=netloc))

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._tasks)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse and cut."""
        if self._server is not None:
            self._server.close()
            await self.sever()
            await self._server.wait_closed()
            self._server = None

    async def sever(self) -> None:
        """Cut what is open; who connects anew gets through."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def hold(self) -> None:
        """Let nothing through from now on."""
        self._flows.clear()

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Let nothing through for a while; what was held back comes through in the end, whatever happens meanwhile."""
        self.hold()
        try:
            yield
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Let through what was held back, and all that follows."""
        self._flows.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it or it is cut."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        sides = [writer]
        try:
            if self.tls is not None:
                assert await reader.readexactly(len(_TLS_WANTED)) == _TLS_WANTED
                writer.write(b"S")
                await writer.start_tls(self.tls)
            there_reader, there = await asyncio.open_connection(self._target.hostname, self._target.port)
            sides.append(there)
            on = asyncio.create_task(self._pass_on(reader, there))
            back = asyncio.create_task(self._pass_back(there_reader, writer))
            try:
                await asyncio.wait([on, back], return_when=asyncio.FIRST_COMPLETED)
            finally:
                on.cancel()
                back.cancel()
            await asyncio.wait([on, back])
            if not on.cancelled() and (commit := on.result()):
                await self._lose(commit, there_reader, there)
            for side in sides:
                side.close()  # what was said last still arrives
        except (OSError, EOFError, asyncio.CancelledError):
            for side in sides:
                side.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, there: asyncio.StreamWriter) -> bytes:
        """Pass on what comes, up to a COMMIT that shall be cut; return that."""
        with suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK):
                await self._flows.wait()
                if self.cut is not None and chunk.endswith(_COMMIT):
                    return chunk
                there.write(chunk)
                await there.drain()
        return b""

    async def _lose(self, commit: bytes, there_reader: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        cut, self.cut = self.cut, None
        self.cuts += 1
        if cut is Cut.AFTER_COMMIT:
            there.write(commit)
            answer = await there_reader.read(_CHUNK)
            assert b"COMMIT\x00" in answer, answer
        raise ConnectionAbortedError

    async def _pass_back(self, there_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await there_reader.read(_CHUNK):
                await self._flows.wait()
                await asyncio.sleep(self.delay_s)
                writer.write(chunk)
                await writer.drain()


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[Proxy]:
    """Put a started proxy in front of the server of a URL."""
    proxy = Proxy(url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
