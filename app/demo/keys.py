"""The demo's keys and passwords, kept between its starts: a server shows each key only once.

Used by `arrival`. The file is readable for its owner alone, like everything in the data folder.
"""

import os
import tempfile
from pathlib import Path

import msgspec

_FILE = "demo-keys.json"


class ClientKeys(msgspec.Struct):
    """One client's keys."""

    admin: str
    server: str
    browser: str


class Login(msgspec.Struct):
    """With what one client's person logs in."""

    email: str
    password: str


class DemoKeys(msgspec.Struct):
    """All keys and logins, by client; None or missing until they have been made."""

    platform: str | None = None
    clients: dict[str, ClientKeys] = {}
    logins: dict[str, Login] = {}


def load_keys(data_dir: Path) -> DemoKeys:
    """Read the keys; where they are gone or unreadable, new ones will be made."""
    try:
        return msgspec.json.decode((data_dir / _FILE).read_bytes(), type=DemoKeys)
    except (FileNotFoundError, msgspec.DecodeError):
        return DemoKeys()


def save_keys(data_dir: Path, keys: DemoKeys) -> None:
    """Write the keys; the file is always whole."""
    with tempfile.NamedTemporaryFile(dir=data_dir, prefix=".demo-keys-", delete=False) as draft:  # mode 0600
        draft.write(msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n")
        draft.flush()
        os.fsync(draft.fileno())
    Path(draft.name).replace(data_dir / _FILE)
