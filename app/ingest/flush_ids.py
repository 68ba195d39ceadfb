"""Ids of flushes: nobody's twice, and later flushes have larger ones, so that an index finds recent ones together.

Made by the group commit and by replays. An id that came twice could be taken for a commit whose answer was lost, and
its events for ones that were counted; so no two makers of ids have the same number.
"""

import time

from sqlalchemy import select

from tenants.control import ControlPlane
from tenants.models import FLUSH_MAKERS

_MAKER_BITS = 23
_EPOCH_MS = 1_767_225_600_000  # 2026 begins; with it, 40 bits last for 34 years


class FlushIds:
    """Makes ids: milliseconds of a clock that never goes back, then the number of who makes them.

    Shape: `maker` is from 0 to FLUSH_MAKERS' last, which comes again after eight million others at the earliest.
    """

    def __init__(self, maker: int) -> None:
        self._maker = maker
        self._began_ms = (time.time_ns() - time.monotonic_ns()) // 1_000_000 - _EPOCH_MS
        self._last_ms = 0

    def next(self) -> int:
        """Make the next id."""
        self._last_ms = max(self._last_ms + 1, self._began_ms + time.monotonic_ns() // 1_000_000)
        return (self._last_ms << _MAKER_BITS) | self._maker


async def claim_flush_ids(control: ControlPlane) -> FlushIds:
    """Become a maker of ids.

    Errors: StoreUnavailable.
    """
    async with control.session() as session:
        return FlushIds((await session.execute(select(FLUSH_MAKERS.next_value()))).scalar_one())
