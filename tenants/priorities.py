"""Have a Postgres on this machine take events first and answer questions with what that leaves of the processors.

Called by `tenants.databases`. Linux shares processors out among sessions, of which each process of Postgres is one, so
that a question that keeps a processor busy would count as much as all that takes events. Where Postgres is on another
machine, or sessions are not told apart, nothing is changed.
"""

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import structlog

# As `nice` has it. Questions of a client of which more wait give way to those of others, too.
QUESTION = 5
CROWDED = 15

log = structlog.get_logger()


class Priority:
    """The priority of one connection's process."""

    def __init__(self, session: Path) -> None:
        self._session = session
        self._nice = 0

    def lower(self, nice: int) -> None:
        """Have it give way by so much, if the system lets us: who is not root may change ten sessions a second."""
        if nice == self._nice:
            return
        try:
            self._session.write_text(str(nice))
        except OSError as error:
            log.debug("priority_kept", error=type(error).__name__)
        else:
            self._nice = nice


def find_priority(url: str, pid: int) -> Priority | None:
    """Find a connection's process, if it is one of this machine."""
    process = Path("/proc", str(pid))
    try:
        is_postgres = _is_here(url) and process.joinpath("comm").read_text().strip() == "postgres"
    except OSError:
        return None
    session = process / "autogroup"
    return Priority(session) if is_postgres and session.exists() else None


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
