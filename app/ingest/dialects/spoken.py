"""Which dialect is spoken where. Asked by the collection routes."""

from collections.abc import Mapping

from app.ingest.dialects.core import CORE
from app.ingest.dialects.dialect import Dialect
from app.ingest.dialects.ingest import INGEST
from app.ingest.dialects.segment import SEGMENT
from app.ingest.dialects.tracking import TRACK_BATCH, TRACK_EVENT

DIALECTS: Mapping[str, Dialect] = {
    dialect.path: dialect for dialect in (INGEST, CORE, TRACK_EVENT, TRACK_BATCH, *SEGMENT)
}
ALIASES: Mapping[str, Dialect] = {alias: dialect for dialect in DIALECTS.values() for alias in dialect.aliases}
_SPOKEN = {**DIALECTS, **ALIASES}


def find_dialect(path: str) -> Dialect | None:
    """Find the dialect that is spoken at a path, however many slashes it was sent with; None for our own words."""
    return _SPOKEN.get(path) or _SPOKEN.get("/" + "/".join(filter(None, path.split("/"))))
