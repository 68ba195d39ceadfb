"""Which loopback port an engine listens on: the one of last time if it is free, else another.

Used by `keeper`; the port is remembered in a file beside the engine's data.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"
_ATTEMPTS = 5


def candidate_ports(memory: Path, hint: int | None) -> Iterator[int]:
    """Yield ports that are free now, best first; a stranger may still be quicker, so there is more than one."""
    for port in (remembered_number(memory), hint):
        if port is not None and is_free(port):
            yield port
    for _ in range(_ATTEMPTS):
        yield free_port()


def remembered_number(memory: Path) -> int | None:
    """Read the port or process id of last time, None if there is none."""
    try:
        return int(memory.read_text())
    except (OSError, ValueError):
        return None


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there."""
    return find_obstacle(port, host) is None


def find_obstacle(port: int, host: str) -> OSError | None:
    """Return why a server could not listen there; None if it could."""
    try:
        _bind(host, port).close()
    except OSError as error:
        return error
    return None


def free_port(host: str = LOOPBACK) -> int:
    """Return a port that nobody listens on."""
    with _bind(host, 0) as probe:
        return int(probe.getsockname()[1])


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)
    except OSError:
        probe.close()
        raise
    return probe
