"""What a server's processes hold, read from /proc, and what its Postgres says of its connections.

Used by `bench.soak`, every few seconds.
"""

import asyncio
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import asyncpg
import msgspec

# How the bench's own connections are named, so that they count as nobody's leak.
OWN_NAME = "bench"
# Kinds whose processes come and go; nothing is expected of their size.
PASSING = "postgres passing"
SHARED = "postgres shared"
BACKENDS = "postgres backends"
_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MEASURES = {"Rss": "rss", "Pss": "pss", "Pss_Shmem": "shared"}
_BACKENDS = """
SELECT pid, backend_type, application_name, coalesce(usename::text, '') AS login, coalesce(state, '') AS state
FROM pg_stat_activity
"""
_PASSING = frozenset({"autovacuum worker", "parallel worker"})


class Held(msgspec.Struct):
    """What the processes of one kind hold together.

    Units: memory in KiB; `pss` shares out what several processes map, and is without Postgres' shared memory.
    """

    processes: int = 0
    pss: int = 0
    rss: int = 0
    files: int = 0
    threads: int = 0


class Sample(msgspec.Struct, frozen=True):
    """One moment; `connections` are counted by login and state."""

    at_s: float
    held: dict[str, Held]
    connections: dict[str, int]


class Sampler:
    """Looks at one server again and again."""

    def __init__(self, pid: int, connection: asyncpg.Connection, file: Path | None) -> None:
        self._pid = pid
        self._connection = connection
        self._file = file
        self._began = time.monotonic()
        self.samples: list[Sample] = []

    @classmethod
    async def open(cls, pid: int, url: str, file: Path | None) -> Self:
        """Connect; what is kept is appended to the file, too, if there is one."""
        connection = await asyncpg.connect(url, server_settings={"application_name": OWN_NAME})
        return cls(pid, connection, file)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    async def run(self, every_s: float) -> None:
        """Keep a sample every so many seconds, until cancelled."""
        while True:
            sample = await self.look()
            self.samples.append(sample)
            if self._file is not None:
                with self._file.open("ab") as lines:
                    lines.write(msgspec.json.encode(sample) + b"\n")
            await asyncio.sleep(every_s)

    async def look(self) -> Sample:
        """Take a sample."""
        rows = await self._connection.fetch(_BACKENDS)
        kinds = {row["pid"]: _kind_of_backend(row) for row in rows}
        connections = Counter(f"{row['login']} {row['state']}" for row in rows if kinds[row["pid"]] == BACKENDS)
        held = await asyncio.to_thread(read_held, self._pid, kinds)
        return Sample(round(time.monotonic() - self._began, 1), held, dict(connections))


def _kind_of_backend(row: asyncpg.Record) -> str:
    if row["application_name"] == OWN_NAME:
        return "postgres panels"
    if row["backend_type"] in _PASSING:
        return PASSING
    return BACKENDS if row["backend_type"] == "client backend" else "postgres system"


def busy_seconds() -> float:
    """Add up what this machine's processors have worked since it was started, for whomever."""
    user, nice, system, _idle, _waiting, *rest = map(int, (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:8])
    return sum((user, nice, system, *rest)) / _TICKS_PER_S


def read_held(pid: int, backends: dict[int, str]) -> dict[str, Held]:
    """Add up what a server's processes hold, by kind; `backends` tells the kinds of Postgres' own."""
    found: dict[str, Held] = defaultdict(Held)
    for kind, each in _name(pid, backends):
        with suppress(OSError):  # it has ended meanwhile
            memory = _memory(each)
            held = found[kind]
            held.processes += 1
            held.pss += memory["pss"] - memory["shared"]
            held.rss += memory["rss"]
            held.files += sum(1 for _ in (_PROC / str(each) / "fd").iterdir())
            held.threads += sum(1 for _ in (_PROC / str(each) / "task").iterdir())
            if memory["shared"]:
                found[SHARED].pss += memory["shared"]
    return dict(found)


def _name(pid: int, backends: dict[int, str]) -> Iterator[tuple[str, int]]:
    yield "supervisor", pid
    for child in _children(pid):
        words = _words(child)
        if "granian" in words:
            yield from (("web", each) for each in (child, *_descendants(child)))
        elif "worker" in words:
            yield from (("worker", each) for each in (child, *_descendants(child)))
        elif words[0].endswith("postgres"):
            yield "postgres system", child
            yield from ((backends.get(each, PASSING), each) for each in _children(child))
        else:
            yield Path(words[0].split()[0]).name, child  # which may have written what it does behind its name


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in (_PROC / str(pid) / "task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def _words(pid: int) -> list[str]:
    return (_PROC / str(pid) / "cmdline").read_bytes().decode().split("\0")


def _memory(pid: int) -> dict[str, int]:
    found = dict.fromkeys(_MEASURES.values(), 0)
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in _MEASURES:
            found[_MEASURES[name]] = int(rest.split()[0])
    return found
