"""How much memory this machine, or the container that it pretends to be, has. Asked by `postgres`."""

import os
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/memory.max")
_MB = 1024 * 1024


def memory_mb(limit: Path = _LIMIT) -> int:
    """Tell the machine's memory, or the limit of the control group where that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(limit.read_text())) // _MB
    except (OSError, ValueError):  # no control groups, or one without a limit, which says `max`
        return machine // _MB
