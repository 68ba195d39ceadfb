"""Read the `Prefer` header: how long a caller is willing to wait for long work.

Called by the routes that answer 202.
"""

import re

MAX_WAIT_S = 60
_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?', re.IGNORECASE | re.ASCII)


def wait_of(prefer: str | None) -> int | None:
    """Find `wait` in a `Prefer` header; None if there is none that makes sense, so that it is ignored.

    Units: seconds, at most a minute.
    Source: RFC 7240, sections 2 and 4.3.
    """
    for preference in (prefer or "").split(","):
        match = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if match is not None:
            return min(int(match[1]), MAX_WAIT_S)
    return None
