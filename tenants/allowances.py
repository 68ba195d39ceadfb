"""How much a client or a key may send; read from the registry, kept by `app.auth.limiter`."""

from typing import Any

import msgspec

# How many seconds' worth may come at once where nothing else is said.
BURST_S = 10
MAX_RATE = 1_000_000
MAX_QUOTA = 10**12


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What may be sent, in events; None is without limit.

    Shape: `rate` per second in the long run, `burst` at once, `quota` per calendar month (UTC).
    """

    rate: int | None = None
    burst: int | None = None
    quota: int | None = None

    @property
    def capacity(self) -> int:
        """How many events may come at once."""
        return self.burst or (self.rate or 0) * BURST_S


UNLIMITED = Allowance()


def allowance_of(row: Any) -> Allowance:
    """Read what a client or a key may send."""
    if row.rate_limit is None and row.monthly_quota is None:
        return UNLIMITED
    return Allowance(rate=row.rate_limit, burst=row.rate_burst, quota=row.monthly_quota)
