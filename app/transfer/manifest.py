"""The table of contents of an export, by which its files can be checked and read back.

Written by `exporter` as its last file, so that a folder without one is no whole export; read by `sources`.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

MANIFEST = "manifest.json"


class ExportedFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One file: its rows, its size, and the SHA-256 of its bytes."""

    name: str
    table: str
    rows: int
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="grove-export", tag_field="kind"):
    """What was exported, of whom and when. `exported_at` is the moment whose state the rows show."""

    version: int = 1
    exported_at: datetime
    format: str
    gzip: bool
    client: dict[str, Any]
    files: list[ExportedFile]
    remarks: list[str] = []


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder, if that is an export."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def find_manifest(path: Path) -> Manifest | None:
    """Read the manifest beside a file, if the file belongs to an export."""
    manifest = read_manifest(path.parent)
    if manifest is None:
        return None
    return manifest if any(file.name == path.name for file in manifest.files) else None
