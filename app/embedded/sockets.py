"""Where the engines put their Unix sockets.

Used by `postgres` and `valkey`. The kernel takes paths of at most 107 bytes, and a checkout can lie deep.
"""

import hashlib
import os
import stat
from pathlib import Path

from app.embedded.account import Account, ensure_folder
from app.embedded.errors import EngineError

_LONGEST_PATH_BYTES = 107
_SHORT_PLACE = Path("/tmp")  # noqa: S108 - short is the point; the folder in it is checked to be ours


def find_socket_folder(folder: Path, name: str) -> Path:
    """Choose the folder in which a socket called `name` (at its longest) fits."""
    near = folder / "socket"
    if len(os.fsencode(near / name)) <= _LONGEST_PATH_BYTES:
        return near
    return _SHORT_PLACE / f"grove-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"


def ensure_socket_folder(place: Path, account: Account | None) -> None:
    """Make the folder that was chosen for a socket; nobody else can open it.

    Errors: EngineError, if somebody else has put something in that place.
    """
    if place.parent == _SHORT_PLACE:
        place.mkdir(mode=0o700, exist_ok=True)
        _check_ours(place, account)
    ensure_folder(place, account)


def _check_ours(folder: Path, account: Account | None) -> None:
    found = folder.lstat()
    owners = {os.geteuid(), os.geteuid() if account is None else account.uid}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        message = f"{folder} belongs to somebody else; remove it, or set GROVE_DATA_DIR to a shorter path."
        raise EngineError(message)
