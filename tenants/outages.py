"""Tell those whom a database could not serve when to come back.

Called by `tenants.databases` and `tenants.control`. Nobody knows when a database returns; what has been away for a
while is likely to stay away for as long again. So the wait doubles by itself, and is short after a hiccup.
"""

import math
import time
from collections.abc import Callable, Hashable

MOST_RETRY_AFTER_S = 60
# Of what nobody asked for so long, nobody knows whether it was away all the time.
FORGOTTEN_S = 2 * MOST_RETRY_AFTER_S


class Outages:
    """When the first and the last of those failures were with nothing gone through since, by whose they were."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failed: dict[Hashable, tuple[float, float]] = {}

    def note_away(self, whose: Hashable) -> int:
        """Note a failure; return in how many seconds to come back."""
        now = self._monotonic()
        first, last = self._failed.get(whose, (now, now))
        if now - last > FORGOTTEN_S:
            first = now
        self._failed[whose] = first, now
        return min(MOST_RETRY_AFTER_S, max(1, math.ceil(now - first)))

    def note_there(self, whose: Hashable) -> None:
        """Note that something has gone through."""
        self._failed.pop(whose, None)
