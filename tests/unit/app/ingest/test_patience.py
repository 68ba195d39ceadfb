"""Everyone gets the same time, whoever else waits; and only what is late is cancelled."""

import asyncio

import pytest

from app.ingest.patience import Patience

LIMIT_S = 0.05


async def test_who_begins_later_has_as_much_time_as_the_first() -> None:
    patience, loop = Patience(LIMIT_S), asyncio.get_running_loop()
    began = loop.time()

    async def wait(after_s: float) -> float:
        await asyncio.sleep(after_s)
        with pytest.raises(TimeoutError):
            await patience.wait_for(asyncio.Event().wait())
        return loop.time() - began

    first, second = await asyncio.gather(wait(0), wait(LIMIT_S / 2))
    assert LIMIT_S <= first < second
    assert second >= LIMIT_S * 1.5


async def test_what_comes_in_time_is_handed_on_and_nobody_is_cancelled_afterwards() -> None:
    patience = Patience(LIMIT_S)
    assert await patience.wait_for(asyncio.sleep(0, "here")) == "here"
    with pytest.raises(LookupError):
        await patience.wait_for(_fail())
    await asyncio.sleep(LIMIT_S * 2)


async def test_who_was_late_may_go_on_and_wait_again() -> None:
    patience = Patience(LIMIT_S)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await patience.wait_for(asyncio.Event().wait())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_who_is_cancelled_by_another_is_not_taken_to_be_late() -> None:
    task = asyncio.create_task(Patience(LIMIT_S).wait_for(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _fail() -> None:
    raise LookupError
