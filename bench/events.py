"""Page views as sites send them, the same for the same seed: the load generator and the checks make them alike."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from app.ingest.steps import uuid7

EVENTS_PER_SESSION = 10
# As many as browsers send from, each from an address of its own.
BROWSERS = 1_000
_PATHS = ("/", "/pricing", "/blog", "/blog/how-to-start", "/work/lighthouse", "/work/tidal-maps", "/contact", "/about")
_DEVICES = (
    {"device": "desktop", "browser": "Chrome", "os": "Windows", "country": "DE"},
    {"device": "mobile", "browser": "Safari", "os": "iOS", "country": "US"},
    {"device": "mobile", "browser": "Chrome", "os": "Android", "country": "BR"},
)


class Ids(StrEnum):
    """What ids events have: random ones, ones in the order of time as our own SDKs make them, or none."""

    RANDOM = "random"
    ORDERED = "ordered"
    NONE = "none"


def event_ids(seed: int, count: int) -> list[uuid.UUID]:
    """Make the random ids of a seed's events."""
    rng = random.Random(seed)  # noqa: S311 - to be repeatable, not to be secret
    return [uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(count)]


def make_events(
    seed: int,
    count: int,
    now: datetime,
    ids: Ids = Ids.RANDOM,
    *,
    told: bool = True,
    per_browser: int | None = None,
) -> list[bytes]:
    """Make JSON page views of sessions that lie side by side, the last one just now.

    Shape: with `per_browser`, so many in a row are of one browser after the other, each of which has one session
    whatever the seed; unless they are `told`, without sessions, visitors and their devices.
    """
    encode = msgspec.json.Encoder().encode
    made = event_ids(seed, count)
    if ids is Ids.ORDERED:  # a millisecond apart
        made = [uuid.UUID(bytes=uuid7(now + timedelta(milliseconds=index)).bytes) for index in range(count)]
    views = (_page_view(seed, index, event_id, now) for index, event_id in enumerate(made))
    if per_browser is not None:
        views = (view | _browsers(index // per_browser % BROWSERS) for index, view in enumerate(views))
    left_out = ({"event_id"} if ids is Ids.NONE else set()) | (
        set() if told else {"session_id", "visitor_id", "context"}
    )
    return [encode({name: value for name, value in view.items() if name not in left_out}) for view in views]


def make_bodies(
    seed: int,
    requests: int,
    events_per_request: int,
    now: datetime,
    ids: Ids = Ids.RANDOM,
    *,
    told: bool = True,
    by_browsers: bool = False,
) -> list[bytes]:
    """Make request bodies: an array each, or a lone event."""
    per_browser = events_per_request if by_browsers else None
    events = make_events(seed, requests * events_per_request, now, ids, told=told, per_browser=per_browser)
    if events_per_request == 1:
        return events
    starts = range(0, len(events), events_per_request)
    return [b"[" + b",".join(events[start : start + events_per_request]) + b"]" for start in starts]


def _browsers(browser: int) -> dict[str, object]:
    """Tell whose events these are."""
    return {"session_id": f"s-{browser}", "visitor_id": f"v-{browser}"}


def _page_view(seed: int, index: int, event_id: uuid.UUID, now: datetime) -> dict[str, object]:
    visit, step = divmod(index, EVENTS_PER_SESSION)
    path = _PATHS[(visit + step) % len(_PATHS)]
    at = now - timedelta(minutes=5) + timedelta(milliseconds=20 * step)
    return {
        "event_id": str(event_id),
        "name": "page_view",
        "occurred_at": at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "session_id": f"s-{seed}-{visit}",
        "visitor_id": f"v-{visit % 5000}",
        "page": {
            "url": f"https://birch.example{path}?utm_source=newsletter&utm_medium=email",
            "title": "Birch Studio",
            "referrer": "https://www.google.com/",
        },
        "context": _DEVICES[visit % len(_DEVICES)],
        "properties": {"step": step, "scroll": step * 9, "theme": "dark"},
    }
