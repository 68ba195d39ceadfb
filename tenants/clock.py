"""The one place that asks what time it is, so that tests can say it instead.

Called by everything that stamps rows; `Clock` is passed down, `utc_now` is its real value.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present as aware UTC."""
    return datetime.now(UTC)
