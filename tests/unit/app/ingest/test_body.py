"""A body is read to its end, and no further."""

import asyncio
from typing import Any

import pytest
from litestar.types import Receive

from app.ingest.body import read_body
from app.ingest.patience import Patience
from tenants.errors import BodyTooSlow

PATIENCE_S = 0.05


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
    assert await read_body(scope((b"content-length", b"4")), receive, Patience(PATIENCE_S)) == b"abcd"
    assert left == [b"never asked for"]


async def test_without_a_declared_length_the_server_tells_the_end() -> None:
    receive, left = sending(b"ab", b"cd", b"", then=False)
    assert await read_body(scope(), receive, Patience(PATIENCE_S)) == b"abcd"
    assert left == []


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def receive() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(BodyTooSlow, match=f"{PATIENCE_S} seconds"):
        await read_body(scope((b"content-length", b"4")), receive, Patience(PATIENCE_S))
