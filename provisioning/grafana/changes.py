"""What differs between a client's Grafana as it should be and as it is, told and, unless only asked for, mended.

Every `ensure_…` of this package goes through it, so that a rehearsal tells exactly what a repair would do.
"""

from collections.abc import Awaitable, Callable

import msgspec

from tenants.errors import GrafanaRefused


class Change(msgspec.Struct, frozen=True):
    """One difference. `action`: create, change, remove, keep (not Grove's, and stays), fail (Grafana refuses it)."""

    action: str
    kind: str
    name: str
    detail: str | None = None


class Changes:
    """The differences found so far; with `rehearse` nothing is changed."""

    def __init__(self, *, rehearse: bool = False) -> None:
        self.rehearse = rehearse
        self.found: list[Change] = []
        self._refusals: list[GrafanaRefused] = []

    async def make(self, change: Change, mend: Callable[[], Awaitable[object]]) -> None:
        """Note a difference, and mend it."""
        self.found.append(change)
        if not self.rehearse:
            await mend()

    def note(self, change: Change) -> None:
        """Note something that is left as it is, or that was mended elsewhere."""
        self.found.append(change)

    async def attempt(self, kind: str, name: str, act: Callable[[], Awaitable[object]]) -> None:
        """Do something that holds up nothing else if Grafana refuses it: that is noted."""
        try:
            await act()
        except GrafanaRefused as refusal:
            self._refusals.append(refusal)
            self.note(Change("fail", kind, name, refusal.detail))

    def has_refused(self, kind: str, name: str) -> bool:
        """Tell whether Grafana refused something."""
        return any((each.action, each.kind, each.name) == ("fail", kind, name) for each in self.found)

    def require(self) -> None:
        """Insist on all that was attempted.

        Errors: GrafanaRefused.
        """
        if self._refusals:
            raise self._refusals[0]

    @property
    def mended(self) -> list[Change]:
        """The differences without what is kept."""
        return [change for change in self.found if change.action != "keep"]

    def summary(self) -> str:
        """Say in a few words what was found."""
        return "nothing to change" if not self.mended else f"{len(self.mended)} changes"
