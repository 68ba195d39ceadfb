"""Read what other services write in several ways: a moment as a number, a currency in small letters.

Called where their events are told in our words, and by the commerce facts.
"""

import re
from datetime import UTC, datetime

# Later than any time in seconds, and earlier than any in milliseconds, that somebody may mean.
_MILLISECONDS = 1e11
_CURRENCY = re.compile("[A-Z]{3}")


def moment(number: float) -> datetime:
    """Read Unix seconds, or milliseconds.

    Errors: ValueError, OverflowError, OSError if there is no such moment.
    """
    return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS else number, UTC)


def currency_code(said: object) -> str | None:
    """Write a currency as ISO 4217 does; None if it is none."""
    code = said.upper() if isinstance(said, str) else ""
    return code if _CURRENCY.fullmatch(code) else None
