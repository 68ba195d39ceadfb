"""Throwaway engines for a test run: real ones, without the waits for the disk.

Used by `tests/conftest.py` once per session.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey


@contextmanager
def throwaway_postgres(*, durable: bool = False, bin_dir: Path | None = None) -> Iterator[EmbeddedPostgres]:
    """Yield a started Postgres that is gone afterwards; fault tests ask for a durable one."""
    with _throwaway_folder("postgres") as folder:
        engine = EmbeddedPostgres(folder, secrets.token_urlsafe(), durable=durable, bin_dir=bin_dir)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()


@contextmanager
def throwaway_valkey(*, durable: bool = False, server: Path | None = None) -> Iterator[EmbeddedValkey]:
    """Yield a started Valkey that is gone afterwards."""
    with _throwaway_folder("valkey") as folder:
        engine = EmbeddedValkey(folder, secrets.token_urlsafe(), durable=durable, server=server)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()


@contextmanager
def _throwaway_folder(name: str) -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix=f"grove-{name}-"))
    try:
        yield parent / name
    finally:
        shutil.rmtree(parent)
