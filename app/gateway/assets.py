"""Files of Grafana's pages whose names change with their content: kept in memory, and by browsers for good.

Called by `app.gateway.gateway`. They are the same for every client, so that one copy serves all.
"""

import re
from collections import OrderedDict

import msgspec

from app.gateway.headers import Headers

LASTING = b"private, max-age=31536000, immutable"
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
_HASHED = re.compile(r"/public/build/(?:[A-Za-z0-9_~-]+\.)+[0-9a-f]{20}\.(?:js|css)")


class Asset(msgspec.Struct, frozen=True):
    """A file as it was answered."""

    headers: Headers
    body: bytes


class AssetCache:
    """Files by path and encoding; the ones that were asked for least recently go first."""

    def __init__(self, max_bytes: int = MAX_TOTAL_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._files: OrderedDict[tuple[str, bool], Asset] = OrderedDict()

    def find(self, path: str, *, gzip: bool) -> Asset | None:
        """Return a file if it is kept."""
        found = self._files.get((path, gzip))
        if found is not None:
            self._files.move_to_end((path, gzip))
        return found

    def keep(self, path: str, asset: Asset, *, gzip: bool) -> None:
        """Keep a file, unless it is too large or known already."""
        if len(asset.body) > MAX_FILE_BYTES or (path, gzip) in self._files:
            return
        self._files[path, gzip] = asset
        self._bytes += len(asset.body)
        while self._bytes > self._max_bytes:
            _, dropped = self._files.popitem(last=False)
            self._bytes -= len(dropped.body)


def is_lasting(path: str) -> bool:
    """Tell whether a file's name changes with its content."""
    return _HASHED.fullmatch(path) is not None
