"""The path and the campaign that a page's URL tells. Pure; called by the steps."""

from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

from app.ingest.wire import Utm

KEPT_URLS = 8192
NO_UTM = Utm()


@lru_cache(maxsize=KEPT_URLS)
def read_url(url: str) -> tuple[str | None, Utm]:
    """Take the path and the campaign parameters out of a URL; an odd URL has neither.

    Kept, because a site's pages are few and the parsing is dear.
    """
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, max_num_fields=100) if "utm_" in parts.query else {}
    except ValueError:
        return None, NO_UTM
    first = {name: query[f"utm_{name}"][0] for name in ("source", "medium", "campaign") if f"utm_{name}" in query}
    if not first:
        return parts.path or "/", NO_UTM
    return parts.path or "/", Utm(**{name: value.replace("\0", "") for name, value in first.items()})


def campaign_of(source: str | None, medium: str | None, campaign: str | None) -> str:
    """Put a campaign into one text, the same for the same campaign; empty if there is none."""
    if source is None and medium is None and campaign is None:
        return ""
    return "\n".join((source or "", medium or "", campaign or "")).strip("\n")
