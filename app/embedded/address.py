"""The address of the server that runs on a data folder, for commands beside it.

Written by the supervisor, which may have chosen the port; read by the commands that administer.
"""

from pathlib import Path

_FILE = "address"


def keep_address(data_dir: Path, url: str) -> None:
    """Write down under which address people reach the server."""
    (data_dir / _FILE).write_text(url + "\n", encoding="utf-8")


def kept_address(data_dir: Path) -> str | None:
    """Read the address of the server that was started last; None if there was none."""
    try:
        return (data_dir / _FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
