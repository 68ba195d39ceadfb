"""The secrets that a server without an operator makes for itself, once.

Read by `engines` before anything starts. Real deployments give theirs in the environment and never come here.
"""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Protocol, Self, TypeVar

import msgspec

from app.embedded.errors import EngineError

_FILE = "secrets.json"
_RANDOM_BYTES = 32


class Makeable(Protocol):
    """A struct of secrets that can be made."""

    @classmethod
    def make(cls) -> Self:
        """Make new ones."""


T = TypeVar("T", bound=Makeable)


class Secrets(msgspec.Struct, frozen=True):
    """What must be the same again at the next start."""

    secret_key: str
    postgres_password: str
    valkey_password: str

    @classmethod
    def make(cls) -> Self:
        """Make new ones."""
        return cls(random_secret(), random_secret(), random_secret())


def random_secret() -> str:
    """Return what nobody can guess."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def random_header() -> str:
    """Return the name of a header that nobody can guess."""
    return f"X-Grove-{secrets.token_hex(_RANDOM_BYTES // 2)}"


def ensure_secrets(folder: Path, kind: type[T]) -> T:
    """Read the secrets of a data folder, or make them; two processes that come at once get the same.

    Errors: EngineError, when the file cannot be used; making new ones would lock the owner out of the old data.
    """
    path = folder / _FILE
    if not has_secrets(folder):
        _create(path, kind.make())
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        message = f"The secrets of this data folder, {path}, cannot be read: {error}"
        raise EngineError(message) from error


def has_secrets(folder: Path) -> bool:
    """Whether a server has run on this data folder before."""
    return os.path.lexists(folder / _FILE)


def _create(path: Path, made: Makeable) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    except OSError as error:
        message = f"The secrets of this data folder, {path}, cannot be written: {error.strerror}."
        raise EngineError(message) from error


def _write_new(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".secrets-") as draft:  # mode 0600
        draft.write(content)
        draft.flush()
        os.fsync(draft.fileno())
        try:
            path.hardlink_to(draft.name)  # whole or not at all, and never over somebody else's
        except FileExistsError:
            return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
