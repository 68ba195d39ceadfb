"""A body is read to its end, and no further."""

from typing import Any

from litestar.types import Receive

from app.ingest.body import read_body


def scope(*headers: tuple[bytes, bytes]) -> Any:
    return {"type": "http", "headers": list(headers)}


def sending(*chunks: bytes, then: bool) -> tuple[Receive, list[bytes]]:
    """Hand out chunks; `then` is whether the server says more is to come with the last one, as granian does."""
    left = list(chunks)

    async def receive() -> Any:
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": then or bool(left)}

    return receive, left


async def test_what_was_declared_is_the_end_even_if_the_server_announces_more() -> None:
    receive, left = sending(b"ab", b"cd", b"never asked for", then=True)
    assert await read_body(scope((b"content-length", b"4")), receive) == b"abcd"
    assert left == [b"never asked for"]


async def test_without_a_declared_length_the_server_tells_the_end() -> None:
    receive, left = sending(b"ab", b"cd", b"", then=False)
    assert await read_body(scope(), receive) == b"abcd"
    assert left == []
