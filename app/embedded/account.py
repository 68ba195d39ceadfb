"""Under which operating system account an engine runs, and what that account can reach.

Postgres refuses to run as root, and nothing that listens should. Called by `keeper` and the engines before a start;
as a normal user there is no other account and nothing to arrange.
"""

import os
import pwd
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import msgspec

from app.embedded.errors import EngineError

SERVICE_ACCOUNT = "grove-engines"

_ACL = "system.posix_acl_access"
_ACL_VERSION = 2
_NOBODY_IN_PARTICULAR = 0xFFFFFFFF
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_ENTER = 1


class Demotion(TypedDict, total=False):
    """The arguments with which `subprocess` starts a child under another account; empty to stay as we are."""

    user: int
    group: int
    extra_groups: list[int]


class Account(msgspec.Struct, frozen=True):
    """An unprivileged account of this machine."""

    uid: int
    gid: int

    @property
    def demotion(self) -> Demotion:
        """The arguments for `subprocess`."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def demotion_to(account: Account | None) -> Demotion:
    """Return the arguments for `subprocess` that lead to `account`; None stays as we are."""
    return {} if account is None else account.demotion


def find_account(folder: Path) -> Account | None:
    """Choose the account for the engine that lives in `folder`: None when we are an ordinary user already.

    A folder that an ordinary user made before is served under that user, so that root can start it too.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    return ensure_service_account()


def ensure_service_account() -> Account:
    """Create the system account of the engines once and return it.

    Errors: EngineError, when this machine lets nobody add an account.
    """
    problem = ""
    for _ in range(30):
        try:
            entry = pwd.getpwnam(SERVICE_ACCOUNT)
        except KeyError:
            problem = _add_account()
        else:
            return Account(entry.pw_uid, entry.pw_gid)
        time.sleep(0.1)  # another process may hold the lock of /etc/passwd
    message = f"As root, the engines need an account of their own, and `useradd {SERVICE_ACCOUNT}` failed: {problem}"
    raise EngineError(message)


def ensure_folder(folder: Path, account: Account | None) -> None:
    """Make a folder that only `account` (or we) can open, and make sure that it can be reached.

    Errors: EngineError, naming the folder that is in the way.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if account is not None:
            os.chown(folder, account.uid, account.gid)
        folder.chmod(0o700)
    except OSError as error:
        message = f"The data folder {folder} cannot be made or belongs to somebody else: {error.strerror}."
        raise EngineError(message) from error
    ensure_reachable(folder, account)


def ensure_reachable(folder: Path, account: Account | None) -> None:
    """Let `account` walk down to `folder`.

    Where a parent is closed, this one account is allowed to pass through it (an ACL entry with `x` alone: it can
    neither list nor read), because `chmod o+x` would open the folder to every account of the machine.
    Errors: EngineError, naming the folder that is in the way.
    """
    if account is None or _can_enter(folder, account):
        return
    for step in [*reversed(folder.resolve().parents), folder.resolve()]:
        if not _can_enter(step, account):
            _let_pass(step, account)


def _add_account() -> str:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_ACCOUNT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    except OSError as error:
        return str(error)
    return done.stderr.strip()


def _can_enter(folder: Path, account: Account) -> bool:
    command = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)]
    asked = subprocess.run(command, cwd="/", capture_output=True, check=False, **account.demotion)  # noqa: S603 - fixed words
    return asked.returncode == 0


def _let_pass(folder: Path, account: Account) -> None:
    try:
        os.setxattr(folder, _ACL, _with_entry(folder, account.uid))
    except OSError as error:
        message = (
            f"The engines run as {pwd.getpwuid(account.uid).pw_name}, which cannot enter {folder} ({error.strerror}): "
            f"run `chmod o+x {folder}`, or set GROVE_DATA_DIR to a folder elsewhere, or start Grove as a normal user."
        )
        raise EngineError(message) from error


def _with_entry(folder: Path, uid: int) -> bytes:
    entries = dict(_entries(folder))
    entries[_USER, uid] = entries.get((_USER, uid), 0) | _ENTER
    group = (_GROUP, _NOBODY_IN_PARTICULAR)
    mask = (_MASK, _NOBODY_IN_PARTICULAR)
    entries[mask] = entries.get(mask, entries[group]) | _ENTER
    packed = (struct.pack("<HHI", tag, rights, who) for (tag, who), rights in sorted(entries.items()))
    return struct.pack("<I", _ACL_VERSION) + b"".join(packed)


def _entries(folder: Path) -> Iterator[tuple[tuple[int, int], int]]:
    try:
        packed = os.getxattr(folder, _ACL)
    except OSError:  # no ACL yet: the mode says it all
        mode = folder.stat().st_mode
        yield (_OWNER, _NOBODY_IN_PARTICULAR), mode >> 6 & 7
        yield (_GROUP, _NOBODY_IN_PARTICULAR), mode >> 3 & 7
        yield (_OTHERS, _NOBODY_IN_PARTICULAR), mode & 7
        return
    for tag, rights, who in struct.iter_unpack("<HHI", packed[4:]):
        yield (tag, who), rights
