"""What every source of rows has in common: rows come with their place, and reading can go on from a mark.

`files` and `source_database` are the two kinds; `importer` reads them.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

import msgspec

Mark = int | str
# A large table may have to be sorted before its first row comes.
STATEMENT_TIMEOUT_S = 600


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it was found.

    Shape: `values` have our column names; `place` is `file:line` or a key; `mark` is where reading goes on after this
    row, None if it cannot; `done` counts up to the source's `total`. `fault` says why it is no row at all.
    """

    table: str | None
    place: str
    values: Mapping[str, Any]
    mark: Mark | None
    done: int
    fault: str | None = None


class Source(Protocol):
    """Rows of one table, or of several that are named in each row.

    Shape: `name` tells it from the other sources of an import; `version` changes when a mark of before is worthless;
    `total` is None where nobody knows. Units of `total`: rows of a database, bytes of a file.
    """

    name: str
    version: str
    total: int | None

    def rows(self, after: Mark | None) -> AsyncGenerator[SourceRow, None]:
        """Read rows from a mark on; a mark of None is the beginning."""
