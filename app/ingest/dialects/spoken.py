"""Which dialect is spoken where. Asked by the collection routes."""

from collections.abc import Mapping

from app.ingest.dialects.core import CORE
from app.ingest.dialects.dialect import Dialect
from app.ingest.dialects.ingest import INGEST
from app.ingest.dialects.segment import BATCH, IDENTIFY, PAGE, TRACK
from app.ingest.dialects.tracking import TRACK_BATCH, TRACK_EVENT

DIALECTS: Mapping[str, Dialect] = {
    dialect.path: dialect for dialect in (INGEST, CORE, TRACK_EVENT, TRACK_BATCH, BATCH, TRACK, PAGE, IDENTIFY)
}


def find_dialect(path: str) -> Dialect | None:
    """Find the dialect that is spoken at a path, however many slashes it was sent with; None for our own words."""
    return DIALECTS.get(path) or DIALECTS.get("/" + "/".join(filter(None, path.split("/"))))
