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
from tests.support.waiting import until


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


async def kill_wholly(postgres: EmbeddedPostgres) -> None:
    """Kill a Postgres and wait for the processes that it had begun, which may still finish a commit by themselves."""
    children = _children_of(postgres.pid)
    postgres.kill()

    async def all_gone() -> bool:
        return not any(_runs(child) for child in children)

    await until(all_gone, within_s=10)


def _children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def _throwaway_folder(name: str) -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix=f"grove-{name}-"))
    try:
        yield parent / name
    finally:
        shutil.rmtree(parent)
