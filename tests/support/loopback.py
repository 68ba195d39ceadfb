"""A small HTTP server on loopback, for stand-ins of other people's services.

`async with serve(answer) as url:`; `answer` takes a `Call` and returns an `Answer`, or None to cut the connection.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import h11
import msgspec

READ_BYTES = 65536


class Call(msgspec.Struct, frozen=True):
    """A request. `headers` are in lower case; of several of one name the first counts."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return msgspec.json.decode(self.content) if self.content else {}


class Answer(msgspec.Struct, frozen=True):
    """What is said back: JSON, or a page where `page` is given, or a file in `content`, or `parts` as they come."""

    status: int
    body: Any = None
    page: str | None = None
    content: bytes | None = None
    parts: AsyncIterator[bytes] | None = None
    headers: dict[str, str] = {}


Answering = Callable[[Call], Awaitable[Answer | None]]


@asynccontextmanager
async def serve(answering: Answering, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Listen on a free port and yield the URL."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await _talk(answering, reader, writer)
        except (ConnectionError, ssl.SSLError, h11.RemoteProtocolError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            talks.discard(task)
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{'http' if tls is None else 'https'}://{host}:{port}"
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _talk(answering: Answering, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h11.Connection(h11.SERVER)
    while (call := await _read(connection, reader)) is not None:
        answer = await answering(call)
        if answer is None:
            writer.transport.abort()
            return
        if answer.parts is not None:
            await _send_parts(connection, writer, answer, answer.parts)
            return
        content = answer.content
        if content is None:
            content = msgspec.json.encode(answer.body) if answer.page is None else answer.page.encode()
        kind = "application/json" if answer.page is None else "text/html; charset=UTF-8"
        headers = {"content-type": kind, "content-length": str(len(content)), **answer.headers}
        response = h11.Response(status_code=answer.status, headers=list(headers.items()))
        for event in (response, h11.Data(data=content), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        if connection.our_state is h11.MUST_CLOSE:
            return
        connection.start_next_cycle()


async def _send_parts(
    connection: h11.Connection, writer: asyncio.StreamWriter, answer: Answer, parts: AsyncIterator[bytes]
) -> None:
    """Send an answer of unknown length, never more at once than is taken; the connection ends with it."""
    headers = [*answer.headers.items(), ("connection", "close")]
    writer.write(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
    async for part in parts:
        writer.write(connection.send(h11.Data(data=part)) or b"")
        await writer.drain()
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Call | None:
    request: h11.Request | None = None
    content = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            content += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return _call(request, content)
        elif isinstance(event, h11.ConnectionClosed):
            return None
        else:
            connection.receive_data(await reader.read(READ_BYTES))


def _call(request: h11.Request, content: bytes) -> Call:
    parts = urlsplit(request.target.decode())
    headers: dict[str, str] = {}
    for name, value in request.headers:
        headers.setdefault(name.decode(), value.decode())
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Call(request.method.decode(), unquote(parts.path), query, headers, content)
