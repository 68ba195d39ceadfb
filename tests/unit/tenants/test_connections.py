"""Which connection a client gets: one that knows it, where one is free; none knows more clients than it may."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from tenants.connections import Connections


class Raw:
    """A driver's connection, as far as it is looked at."""

    def __init__(self) -> None:
        self.closed = False
        self.in_transaction = False

    def is_closed(self) -> bool:
        """Tell whether it was ended."""
        return self.closed

    def is_in_transaction(self) -> bool:
        """Tell whether it was left in the middle of something."""
        return self.in_transaction

    def terminate(self) -> None:
        """End it."""
        self.closed = True


class Opened(Connections):
    """Connections that remember what was opened."""

    def __init__(self, *, most: int = 2, most_clients: int = 8) -> None:
        self.opened: list[Raw] = []
        super().__init__(self._make, most=most, most_clients=most_clients)

    @property
    def alive(self) -> int:
        """Count those that are open."""
        return sum(not raw.closed for raw in self.opened)

    async def visit(self, schema: str) -> Any:
        """Use a connection for a moment and return it."""
        async with self.use(schema) as raw:
            return raw

    async def _make(self) -> Raw:
        self.opened.append(Raw())
        return self.opened[-1]


async def test_a_client_comes_back_to_the_connection_that_knows_it() -> None:
    pool = Opened()
    known = {schema: await pool.visit(schema) for schema in "abcdef"}
    assert len(set(known.values())) == 2
    for schema in "facebdfeed":
        assert await pool.visit(schema) is known[schema]


async def test_a_client_whose_connection_is_busy_gets_another() -> None:
    pool = Opened()
    async with pool.use("a") as first, pool.use("a") as second:
        assert first is not second
    assert len(pool.opened) == 2


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_no_connection_knows_more_clients_than_it_may_nor_are_there_more_connections(most: int) -> None:
    pool = Opened(most=most, most_clients=8)
    seen: dict[Raw, set[str]] = {}
    for number in range(200):
        raw = await pool.visit(f"client {number * 7 % 60}")
        seen.setdefault(raw, set()).add(f"client {number * 7 % 60}")
        assert pool.alive <= most
    assert max(len(schemas) for schemas in seen.values()) <= 8


@pytest.mark.parametrize("left", ["closed", "in_transaction"])
async def test_a_connection_that_is_left_broken_is_not_lent_again(left: str) -> None:
    pool = Opened()
    async with pool.use("a") as raw:
        setattr(raw, left, True)
    assert await pool.visit("a") is not raw
    assert raw.closed


async def test_one_that_breaks_while_idle_is_not_lent() -> None:
    pool = Opened()
    raw = await pool.visit("a")
    raw.closed = True
    assert await pool.visit("a") is not raw


async def test_an_idle_connection_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.connections.IDLE_CLOSE_S", 0.01)
    pool = Opened()
    raw = await pool.visit("a")
    async with pool.use("a") as again:
        await asyncio.sleep(0.05)
        assert again is raw
        assert not raw.closed
    await asyncio.sleep(0.05)
    assert raw.closed
    assert await pool.visit("a") is not raw


async def test_closing_waits_for_those_who_use_one_but_not_for_ever() -> None:
    pool = Opened()
    async with AsyncExitStack() as stack:
        raw = await stack.enter_async_context(pool.use("a"))
        closing = asyncio.create_task(pool.close(0.05))
        await asyncio.sleep(0)
        with pytest.raises(asyncpg.InterfaceError):
            await pool.visit("b")
        assert not raw.closed
        await closing
        assert raw.closed
    assert pool.alive == 0


async def test_closing_ends_when_the_last_user_is_done() -> None:
    pool = Opened()
    await pool.visit("a")
    async with pool.use("a"):
        closing = asyncio.create_task(pool.close(60))
        await asyncio.sleep(0)
    async with asyncio.timeout(1):
        await closing
    assert pool.alive == 0
