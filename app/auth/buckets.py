"""What one process knows of a limit: tokens that it has leased, and what is left for all. Pure; time is passed in.

A token is leave to take one event. They are leased in blocks so that a single post costs no round trip, and are used
within LEASE_S or offered back, so that all processes together never let more through than the limit.
"""

import math

import msgspec

from tenants.allowances import Allowance

LEASE_S = 0.1
LEAST_BLOCKS = 8
RECENT_S = 1.0
# A quota's block is this share of what is left, so that processes hold little when it runs out.
QUOTA_SHARE = 200
MAX_QUOTA_BLOCK = 1_000
# Without the shared store, how old what is known of a month's use may be.
USE_TTL_S = 5.0


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A limit. `per_s` is 0 for a quota, which is not refilled but starts anew.

    Shape: `key_id` is given for a limit of one key; `name` is its name in headers.
    """

    name: str
    subject: str
    capacity: int
    per_s: int = 0
    key_id: str | None = None

    @property
    def is_quota(self) -> bool:
        """Whether this is a month's quota."""
        return self.per_s == 0

    @property
    def leases(self) -> bool:
        """Whether tokens are taken in blocks; of a small burst, blocks would hold too much."""
        return self.is_quota or self.capacity >= LEAST_BLOCKS * self.per_s * LEASE_S

    @property
    def window_s(self) -> int:
        """In how many seconds a used-up bucket is full again."""
        return max(1, math.ceil(self.capacity / self.per_s))


def rules_of(subject: str, name: str, allowance: Allowance, key_id: str | None = None) -> list[Rule]:
    """List the limits that an allowance consists of."""
    rules = []
    if allowance.rate is not None:
        capacity = allowance.capacity
        rules.append(Rule(name=name, subject=subject, capacity=capacity, per_s=allowance.rate, key_id=key_id))
    if allowance.quota is not None:
        rules.append(Rule(name=f"{name}-month", subject=subject, capacity=allowance.quota, key_id=key_id))
    return rules


class Share(msgspec.Struct):
    """What of a quota this process may still take without the shared store, and what was left for all."""

    left: int
    left_for_all: int
    read_at: float
    month: str

    def is_known(self, now: float, month: str) -> bool:
        """Tell whether what it says is of this month and not too old."""
        return self.month == month and now - self.read_at <= USE_TTL_S


class Bucket:
    """One limit as this process sees it; `processes` is how many share it.

    Units: times are seconds of a monotonic clock.
    """

    def __init__(self, rule: Rule, processes: int = 1) -> None:
        self.rule = rule
        self.processes = processes
        self.held = 0
        self.month = ""
        self._returned = 0
        self._held_at = float("-inf")
        self._left = 0.0
        self._left_at: float | None = None
        self._local: float | None = None
        self._local_at = 0.0
        self._debt = 0
        self._most_debt = 0
        # Of a quota: whether the client's books may know of more than the shared store, as they do of what was taken
        # without it or while there was no such quota; and what was used by the books.
        self.alone = rule.is_quota
        self.share: Share | None = None
        self._used = 0

    def usable(self, now: float, month: str) -> int:
        """Count the tokens that may be spent now."""
        if self.rule.is_quota:
            return self.held if self.month == month else 0
        return self.held if now - self._held_at <= LEASE_S else 0

    def spend(self, events: int) -> None:
        """Spend leased tokens."""
        self.held -= events

    def offered(self, now: float, month: str) -> int:
        """Tell what may be given back to all; negative for what was let through without asking.

        What was let through long ago, or was refilled since, is forgotten; what of a quota, is in the client's books.
        """
        left = 0 if self.rule.is_quota and self.month != month else self.held + self._returned
        if self._local is None:
            return left
        missing = math.ceil(self.rule.capacity / self.processes - self._local_level(now))
        return left - min(self._debt, self._most_debt, missing)

    def let_go(self) -> None:
        """Give back what is held: it is said to the shared store, and never again, for it may arrive unanswered."""
        self.held = self._returned = 0

    def give_back(self, granted: int) -> None:
        """Keep, for the next call, what was granted to nobody."""
        self._returned += granted

    def most(self, now: float) -> float:
        """Tell how full the bucket can be for all: after a time without asking, as full as our share of it.

        Of a quota, what the client's books leave of it.
        """
        if self.rule.is_quota:
            return max(0, self.rule.capacity - self._used)
        if self._local is None:
            return self.rule.capacity
        return max(0.0, self._local_level(now) * self.processes)

    def use(self, used: int) -> None:
        """Take in how much of a quota was used by the client's books, which the shared store may not know of."""
        self._used = used

    def wanted(self, events: int) -> int:
        """Say how many tokens to ask for, so that the next requests need not ask."""
        if not self.rule.leases:
            return events
        if self.rule.is_quota:
            return max(events, min(MAX_QUOTA_BLOCK, int(self._left) // QUOTA_SHARE))
        return max(events, int(self.rule.per_s * LEASE_S))

    def note(self, granted: int, left: float, now: float, month: str) -> None:
        """Take in what the shared store said."""
        self.held, self._held_at, self.month = granted, now, month
        self._left, self._left_at, self._local = left, now, None
        self._debt, self.alone, self.share, self._used = 0, False, None, 0

    def missing_s(self, events: int, now: float) -> float:
        """Tell for how long so many events cannot be had by anybody, as far as is known here; 0 if they may be."""
        if self._left_at is None or self.rule.is_quota:
            return 0.0
        level = self._left + self.held + (now - self._left_at) * self.rule.per_s
        return max(0.0, (events - level) / self.rule.per_s)

    def is_short(self, events: int, month: str) -> bool:
        """Tell whether a quota had less left than so many events when the shared store was last heard of."""
        return self.rule.is_quota and self.month == month and self._left + self.held < events

    def remaining(self, now: float) -> int:
        """Tell how much is left, as far as is known here."""
        if self.share is not None:
            return max(0, self.share.left)
        if self._local is not None:
            return max(0, int(self._local))
        refilled = 0.0 if self._left_at is None else (now - self._left_at) * self.rule.per_s
        return max(0, min(self.rule.capacity, int(self._left + self.held + refilled)))

    def refilled_in_s(self, events: float) -> float:
        """Tell in how many seconds so many events are refilled: of a quota, never."""
        if events <= 0:
            return 0.0
        return math.inf if self.rule.is_quota else events / self.rule.per_s

    def wait_locally(self, events: int, now: float) -> float:
        """Tell for how many seconds this process's own share does not let so many events through.

        The share begins with what was left for all when the shared store was last heard of. More events than it ever
        holds go when it is full, and are paid off before the next. Of a quota, the share is found out anew before long.
        """
        if self.share is not None:
            if self.share.left_for_all < events:
                return math.inf
            return 0.0 if self.share.left >= events else max(1.0, self.share.read_at + USE_TTL_S - now)
        capacity, per_s = self.rule.capacity / self.processes, self.rule.per_s / self.processes
        if self._local is None:
            known = self.rule.capacity if self._left_at is None else self._left
            self._local, self._local_at = min(capacity, max(0.0, known) / self.processes), now
            self._most_debt = math.ceil(self._local + per_s * RECENT_S)
        level = self._local_level(now)
        self._local, self._local_at = level, now
        return max(0.0, (min(events, capacity) - level) / per_s)

    def take_locally(self, events: int) -> None:
        """Take from the share what `wait_locally` found there."""
        if self.share is not None:
            self.share.left -= events
            self.share.left_for_all -= events
            self.alone = True
            return
        self._local = (self._local or 0.0) - events
        self._debt += events

    def _local_level(self, now: float) -> float:
        refilled = (now - self._local_at) * self.rule.per_s
        return min(self.rule.capacity, (self._local or 0.0) * self.processes + refilled) / self.processes
