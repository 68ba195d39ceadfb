"""A TCP proxy before Postgres that can lose an answer, for faults that no server plays by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

# A simple query as the driver sends it for a unit of work's end.
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_CHUNK = 65_536


class Cut(Enum):
    """Where the connection breaks."""

    BEFORE_COMMIT = "before the server reads COMMIT"
    AFTER_COMMIT = "after the server has committed, before its answer gets through"


class CuttingProxy:
    """Forwards to a server. `cut` is done once, at the next COMMIT, and then forgotten."""

    def __init__(self, host: str, port: int) -> None:
        self.cut: Cut | None = None
        self.cuts = 0
        self._target = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it or it is cut."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        back = asyncio.create_task(_forward(server_reader, writer))
        try:
            while chunk := await reader.read(_CHUNK):
                if self.cut is not None and chunk.endswith(_COMMIT):
                    await self._cut(chunk, server_reader, server_writer, back)
                    break
                server_writer.write(chunk)
                await server_writer.drain()
        except ConnectionError:
            pass  # the client hung up without a word
        finally:
            back.cancel()
            for side in (server_writer, writer):
                side.transport.abort()
            self._tasks.discard(task)

    async def close(self) -> None:
        """Break what is still connected."""
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _cut(
        self,
        chunk: bytes,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
        back: asyncio.Task[None],
    ) -> None:
        cut, self.cut = self.cut, None
        self.cuts += 1
        if cut is Cut.AFTER_COMMIT:
            back.cancel()
            await asyncio.wait([back])
            server_writer.write(chunk)
            answer = await server_reader.read(_CHUNK)
            assert b"COMMIT\x00" in answer, answer


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def run_proxy(url: str) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """Put a proxy before the server of a database URL; hand out both it and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = CuttingProxy(parts.hostname, parts.port)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    through = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")))
    try:
        yield proxy, through
    finally:
        listener.close()
        await proxy.close()
