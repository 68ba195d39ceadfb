"""One visit of one visitor, told event by event. Pure: the same seed tells the same visit.

Used by the three story lines; ids count up within the visit, so that telling it again gives the same ids.
"""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from app.demo.clients import DemoClient

Event = dict[str, Any]
T = TypeVar("T")

# What people use, and how many of a hundred do.
_DEVICES = {
    ("desktop", "Chrome", "Windows"): 27,
    ("desktop", "Edge", "Windows"): 8,
    ("desktop", "Safari", "macOS"): 9,
    ("desktop", "Firefox", "Linux"): 4,
    ("mobile", "Safari", "iOS"): 25,
    ("mobile", "Chrome", "Android"): 22,
    ("tablet", "Safari", "iPadOS"): 5,
}
# Where people come from: referrer, and the campaign in the address where there is one.
_ORIGINS = {
    (None, ""): 34,
    ("https://www.google.com/", ""): 36,
    ("https://www.bing.com/", ""): 6,
    ("https://www.linkedin.com/", "utm_source=linkedin&utm_medium=social&utm_campaign=autumn"): 9,
    ("https://www.instagram.com/", "utm_source=instagram&utm_medium=social&utm_campaign=autumn"): 7,
    (None, "utm_source=newsletter&utm_medium=email&utm_campaign=november"): 8,
}
_RETURNING = 0.35


def seeded(*parts: object) -> random.Random:
    """Make a source of chance that is the same for the same parts, on every machine."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - to be believed, not to be secret


def pick(rng: random.Random, weighted: Mapping[T, int]) -> T:
    """Choose one of several by weight."""
    return rng.choices(list(weighted), list(weighted.values()))[0]


class Visit:
    """Collects the events of one visit while its time moves on."""

    def __init__(self, client: DemoClient, session_id: str, at: datetime, rng: random.Random) -> None:
        device, browser, system = pick(rng, _DEVICES)
        self.rng = rng
        self.events: list[Event] = []
        self._client = client
        self._session_id = session_id
        self._at = at
        self._visitor_id = self._choose_visitor()
        self._referrer, self._campaign = pick(rng, _ORIGINS)
        self._context = {
            "device": device,
            "browser": browser,
            "os": system,
            "country": pick(rng, client.countries),
        }
        self._page: dict[str, str] | None = None

    def chance(self, probability: float) -> bool:
        """Decide something."""
        return self.rng.random() < probability

    def wait(self, least_s: float, most_s: float) -> None:
        """Let time pass."""
        self._at += timedelta(milliseconds=round(self.rng.uniform(least_s, most_s) * 1000))

    def open_page(self, path: str, title: str) -> None:
        """Go to a page; what is told from now on happens there."""
        query = f"?{self._campaign}" if self._campaign and self._page is None else ""
        page = {"url": f"https://{self._client.domain}{path}{query}", "path": path, "title": title}
        referrer = self._referrer if self._page is None else f"https://{self._client.domain}{self._page['path']}"
        if referrer is not None:
            page["referrer"] = referrer
        self._page = page

    def tell(self, name: str, properties: Event | None = None, **fields: object) -> None:
        """Write an event down at the present time of the visit."""
        event: Event = {
            "event_id": f"{self._session_id}-{len(self.events) + 1}",
            "name": name,
            "occurred_at": self._at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "session_id": self._session_id,
            "visitor_id": self._visitor_id,
            "context": self._context,
            **fields,
        }
        if self._page is not None:
            event["page"] = self._page
        if properties:
            event["properties"] = properties
        self.events.append(event)

    def _choose_visitor(self) -> str:
        """Name the visitor. Some come again: they are drawn from a circle about as large as two days' visits."""
        if self.chance(_RETURNING):
            return f"{self._client.id}-v{self.rng.randrange(self._client.visits_per_day * 2)}"
        return f"{self._session_id}-v"
