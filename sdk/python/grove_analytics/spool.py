"""Where events wait until the server has them: SQLite, in a file that outlives the process, or in memory."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

_TABLE = "CREATE TABLE IF NOT EXISTS events (place INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)"


class Spool:
    """Events in the order in which they came; safe for threads."""

    def __init__(self, path: Path | None) -> None:
        self._lock = Lock()
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_TABLE)
        (count,) = self._database.execute("SELECT count(*) FROM events").fetchone()
        self._count = int(count)

    def __len__(self) -> int:
        """Tell how many wait."""
        return self._count

    def put(self, body: bytes) -> None:
        """Keep one more."""
        with self._lock:
            self._database.execute("INSERT INTO events (body) VALUES (?)", (body,))
            self._count += 1

    def first(self, count: int) -> list[tuple[int, bytes]]:
        """Return the oldest, with their places, and keep them."""
        with self._lock:
            return self._database.execute("SELECT place, body FROM events ORDER BY place LIMIT ?", (count,)).fetchall()

    def drop(self, places: Sequence[int]) -> None:
        """Forget some."""
        with self._lock, self._database:
            self._database.execute("BEGIN")
            gone = self._database.executemany("DELETE FROM events WHERE place = ?", ((place,) for place in places))
            self._count -= gone.rowcount

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
