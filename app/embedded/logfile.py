"""The log that an engine writes into its folder.

Used by `keeper`; at each start a long one is set aside, so that there are two at most.
"""

from pathlib import Path
from typing import IO

_LONG_BYTES = 5_000_000
_TAIL_LINES = 5


def open_log(path: Path) -> IO[bytes]:
    """Open the log for another start."""
    if path.exists() and path.stat().st_size > _LONG_BYTES:
        path.replace(path.with_suffix(".log.old"))
    return path.open("ab")


def tail_of(path: Path) -> str:
    """Return the last lines, for an error message."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-_TAIL_LINES:])
