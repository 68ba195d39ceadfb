"""What differs between a client's Grafana as it should be and as it is, told and, unless only asked for, mended.

Every `ensure_…` of this package goes through it, so that a rehearsal tells exactly what a repair would do.
"""

from collections.abc import Awaitable, Callable

import msgspec


class Change(msgspec.Struct, frozen=True):
    """One difference. `action`: create, change, remove, keep (what is not Grove's, and stays)."""

    action: str
    kind: str
    name: str
    detail: str | None = None


class Changes:
    """The differences found so far; with `rehearse` nothing is changed."""

    def __init__(self, *, rehearse: bool = False) -> None:
        self.rehearse = rehearse
        self.found: list[Change] = []

    async def make(self, change: Change, mend: Callable[[], Awaitable[object]]) -> None:
        """Note a difference, and mend it."""
        self.found.append(change)
        if not self.rehearse:
            await mend()

    def note(self, change: Change) -> None:
        """Note something that is left as it is, or that was mended elsewhere."""
        self.found.append(change)

    @property
    def mended(self) -> list[Change]:
        """The differences without what is kept."""
        return [change for change in self.found if change.action != "keep"]

    def summary(self) -> str:
        """Say in a few words what was found."""
        return "nothing to change" if not self.mended else f"{len(self.mended)} changes"
