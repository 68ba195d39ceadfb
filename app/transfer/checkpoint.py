"""How far an import has come, kept in a file, so that one that was killed goes on where it stopped.

Used by `importer`. What is noted has been committed before; rows that were committed but not yet noted are
brought in once more, which changes nothing.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from app.transfer.errors import ImportRefused
from app.transfer.reading import Mark, SourceRow

NO_TABLE = "(no table)"


class Tally(msgspec.Struct):
    """What became of the rows of a table; `read` is the sum of the others."""

    read: int = 0
    imported: int = 0
    present: int = 0
    rejected: int = 0


class Progress(msgspec.Struct):
    """How far one source was read, and with what result per table.

    Shape: `version` tells whether the source is still what it was.
    """

    version: str
    mark: Mark | None = None
    ended: bool = False
    tallies: dict[str, Tally] = {}

    def tally(self, table: str | None) -> Tally:
        """Return the counts of a table, to be counted up."""
        return self.tallies.setdefault(table or NO_TABLE, Tally())


class State(msgspec.Struct):
    """Everything that must survive."""

    sources: dict[str, Progress] = {}
    rejects_bytes: int = 0


class Checkpoint:
    """The state of one import, and the file of the rows that it put aside.

    Shape: `rejects` grows line by line, in NDJSON; what a killed run wrote after its last note is cut off again.
    """

    def __init__(self, folder: Path, *identity: bytes, rejects: Path | None = None) -> None:
        digest = hashlib.sha256(b"\0".join(identity)).hexdigest()[:12]
        self._path = folder / f"{digest}.checkpoint.json"
        self.rejects = rejects or folder / f"{digest}.rejects.ndjson"
        self.resumed = False
        self.state = State()
        with _explained(self._path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.rejects.parent.mkdir(parents=True, exist_ok=True)
            self._load()

    def _load(self) -> None:
        # Unreadable: nothing is lost by beginning anew.
        with suppress(FileNotFoundError, msgspec.DecodeError):
            self.state = msgspec.json.decode(self._path.read_bytes(), type=State)
            self.resumed = True
        if self.state.rejects_bytes == 0:
            self.rejects.unlink(missing_ok=True)
        elif self.rejects.exists():
            os.truncate(self.rejects, min(self.state.rejects_bytes, self.rejects.stat().st_size))

    def progress(self, name: str, version: str) -> Progress:
        """Say how far a source was read; one that has changed or has no marks is read again from its beginning."""
        known = self.state.sources.get(name)
        if known is None or known.version != version or (known.mark is None and not known.ended):
            known = self.state.sources[name] = Progress(version)
        return known

    @property
    def tallies(self) -> dict[str, Tally]:
        """Add up what became of the rows of each table."""
        sums: dict[str, Tally] = {}
        for progress in self.state.sources.values():
            for table, tally in progress.tallies.items():
                total = sums.setdefault(table, Tally())
                for count in tally.__struct_fields__:
                    setattr(total, count, getattr(total, count) + getattr(tally, count))
        return sums

    def put_aside(self, rejected: list[tuple[SourceRow, str]]) -> None:
        """Write down rows that cannot be imported, and why."""
        if not rejected:
            return
        lines = [
            json.dumps({"table": row.table, "place": row.place, "reason": reason, "row": row.values}, default=str)
            + "\n"
            for row, reason in rejected
        ]
        with _explained(self.rejects):
            self.rejects.touch(mode=0o600)
            with self.rejects.open("a", encoding="utf-8") as file:
                file.writelines(lines)
                self.state.rejects_bytes = file.tell()

    def save(self) -> None:
        """Note how far we are; the file is always whole."""
        draft = self._path.with_suffix(".draft")
        with _explained(self._path):
            draft.write_bytes(msgspec.json.encode(self.state))
            draft.replace(self._path)

    def finish(self) -> None:
        """Forget how far we are: all is done."""
        with _explained(self._path):
            self._path.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImportRefused(f"{path} cannot be written: {error.strerror}.") from error
