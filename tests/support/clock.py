"""A server's clock that a test sets, for `open_grove(clock=…)`."""

from datetime import datetime, timedelta

from tenants.clock import utc_now


class SetClock:
    """It starts where the real one is, and goes on like it from wherever it is set."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        """Tell the time."""
        return utc_now() + self.ahead

    def set(self, at: datetime) -> None:
        """Let it be that time now."""
        self.ahead = at - utc_now()
