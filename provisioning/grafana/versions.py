"""Everything in which versions of Grafana differ for us, and which of them are used.

Called by the client before it does anything, and at the start of a server. Measured is 9.4 alone (the contract's
exchanges); what is said here of later versions comes from their documentation.
"""

import re

import msgspec

# The oldest release of each major version that has the security patches known in September 2026. Grafana's
# maintainers support 12 and 13 then (github.com/grafana/grafana, issue 118510); the pages of 13 ask for dashboards
# below `/apis/`, of which the gateway lets nothing through until that was measured.
FIRST_PATCHED = {12: (12, 4, 11)}
MEASURED = (9, 4)
_RENAMED_POSTGRES_IN = 10
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class Version(msgspec.Struct, frozen=True):
    """A version as Grafana names it in `/api/health`."""

    text: str
    parts: tuple[int, int, int]

    @property
    def datasource_type(self) -> str:
        """The plugin that reads Postgres. Its old name is still understood by later versions, but not shown."""
        return "postgres" if self.parts[0] < _RENAMED_POSTGRES_IN else "grafana-postgresql-datasource"

    def is_allowed_by(self, beginning: str | None) -> bool:
        """Tell whether an operator's setting names this version, wholly or by its beginning."""
        if beginning is None:
            return False
        wanted = [int(part) for part in beginning.split(".")]
        return list(self.parts[: len(wanted)]) == wanted

    @property
    def fault(self) -> str | None:
        """Say why this version should not be used; None if nothing is known against it."""
        first = FIRST_PATCHED.get(self.parts[0])
        if first is None:
            majors = " and ".join(str(major) for major in sorted(FIRST_PATCHED))
            return f"Grafana {self.text} is not supported; supported is {majors}."
        if self.parts < first:
            return f"Grafana {self.text} lacks security patches; the first release that has them is {_write(first)}."
        return None

    @property
    def note(self) -> str | None:
        """Say what is not known about this version."""
        if self.parts[:2] == MEASURED:
            return None
        return f"Grove's calls were measured on Grafana {_write(MEASURED)}, not on {self.text}."


def read_version(text: str) -> Version:
    """Read what `/api/health` says; a version that cannot be read counts as 0.0.0, which is not supported."""
    match = _VERSION.match(text)
    parts = (0, 0, 0) if match is None else (int(match[1]), int(match[2]), int(match[3]))
    return Version(text, parts)


def _write(parts: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in parts)
