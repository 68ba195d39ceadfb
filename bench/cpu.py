"""CPU time of process trees, read from /proc."""

import os
from collections.abc import Collection
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
# Positions after the program's name: ppid, then user, system, and both of the children that were waited for.
_PPID, _TIMES = 1, slice(11, 15)


def children_of(pid: int) -> list[int]:
    """List the processes that a process started and that still run."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _fields(int(entry.name))
            if fields and int(fields[_PPID]) == pid:
                found.append(int(entry.name))
    return found


def cpu_seconds(pid: int) -> float:
    """Add up the CPU time of a process and of all its descendants, ended ones included."""
    ticks = sum(map(int, _fields(pid)[_TIMES]))
    return ticks / _TICKS_PER_S + sum(cpu_seconds(child) for child in children_of(pid))


def find_child(pid: int, word: str, *, besides: Collection[int] = ()) -> int:
    """Find the child of a process that has a word on its command line."""
    for child in children_of(pid):
        if child not in besides and word.encode() in (_PROC / str(child) / "cmdline").read_bytes().split(b"\0"):
            return child
    message = f"no child of {pid} runs {word}"
    raise LookupError(message)


def _fields(pid: int) -> list[str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:  # it has ended meanwhile
        return []
    return text.rpartition(")")[2].split()


def ports_of(pid: int) -> set[int]:
    """List the ports of a process's own ends of its TCP connections over IPv4."""
    ports = {}
    for line in (_PROC / str(pid) / "net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    held = set()
    for entry in (_PROC / str(pid) / "fd").iterdir():
        try:
            held.add(str(entry.readlink()))
        except OSError:  # closed meanwhile
            continue
    return {port for name, port in ports.items() if name in held}
