"""Ids of flushes: unique in a client, and later flushes have larger ones, so that an index finds recent ones together.

Made by the group commit. An id that came twice would be taken for a commit whose answer was lost.
"""

import secrets
import time

_PROCESS_BITS = 23
_EPOCH_MS = 1_767_225_600_000  # 2026 begins; with it, 40 bits last for 34 years


class FlushIds:
    """Makes a process's ids: milliseconds of a clock that never goes back, then what tells the process from others."""

    def __init__(self) -> None:
        self._process = secrets.randbits(_PROCESS_BITS)
        self._began_ms = (time.time_ns() - time.monotonic_ns()) // 1_000_000 - _EPOCH_MS
        self._last_ms = 0

    def next(self) -> int:
        """Make the next id."""
        self._last_ms = max(self._last_ms + 1, self._began_ms + time.monotonic_ns() // 1_000_000)
        return (self._last_ms << _PROCESS_BITS) | self._process
