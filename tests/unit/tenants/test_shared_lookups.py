"""Those who need the same row at once share one reading, but none that is too old."""

import asyncio

import pytest

from tenants.errors import NotFound
from tenants.shared_lookups import JOINED_FOR_S, SharedLookups


class Table:
    """Counts its readings, which last until they are let go."""

    def __init__(self) -> None:
        self.readings = 0
        self.go = asyncio.Event()

    async def read(self) -> int:
        """Read."""
        self.readings += 1
        number = self.readings
        await self.go.wait()
        return number

    async def fail(self) -> int:
        """Find nothing."""
        self.readings += 1
        await self.go.wait()
        raise NotFound


async def test_a_crowd_reads_once_and_another_row_is_another_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.shared_lookups.time.monotonic", lambda: 0.0)
    table, lookups = Table(), SharedLookups[int]()
    crowd = [asyncio.create_task(lookups.find("a", table.read)) for _ in range(100)]
    other = asyncio.create_task(lookups.find("b", table.read))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    table.go.set()
    assert await asyncio.gather(*crowd) == [1] * 100
    assert await other == 2
    assert await lookups.find("a", table.read) == 3


async def test_a_reading_that_began_long_ago_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    table, lookups, now = Table(), SharedLookups[int](), [0.0]
    monkeypatch.setattr("tenants.shared_lookups.time.monotonic", lambda: now[0])
    first = asyncio.create_task(lookups.find("a", table.read))
    await asyncio.sleep(0)
    now[0] = JOINED_FOR_S + 0.01
    second = asyncio.create_task(lookups.find("a", table.read))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    table.go.set()
    assert [await first, await second] == [1, 2]


async def test_who_goes_away_ends_the_reading_for_nobody() -> None:
    table, lookups = Table(), SharedLookups[int]()
    leaving, staying = [asyncio.create_task(lookups.find("a", table.read)) for _ in range(2)]
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    table.go.set()
    assert await staying == 1


async def test_a_failure_is_everybodys_and_forgotten() -> None:
    table, lookups = Table(), SharedLookups[int]()
    crowd = [asyncio.create_task(lookups.find("a", table.fail)) for _ in range(3)]
    await asyncio.sleep(0)
    table.go.set()
    found = await asyncio.gather(*crowd, return_exceptions=True)
    assert {type(each) for each in found} == {NotFound}
    assert await lookups.find("a", table.read) == 2
