"""Wait for what comes by itself, and fail if it does not come in time."""

import asyncio
from collections.abc import Awaitable, Callable

STEP_S = 0.02


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float) -> None:
    """Ask again and again until it is so.

    Errors: TimeoutError.
    """
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(STEP_S)
