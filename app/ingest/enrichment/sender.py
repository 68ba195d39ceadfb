"""Whose events a request brings, as far as the steps need to know it. Immutable.

Made once per request by `senders.py`, and by replays.
"""

from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec

from tenants.placement import TenantContext
from tenants.visitors import VisitorRules


class FindCountry(Protocol):
    """Tells of an address in which country it is."""

    def find(self, address: str) -> str | None:
        """Return a country's code, or None where it is not known."""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """The context of a request's events.

    Shape: `is_browser` tells that the visitor's own browser sent them: then `agent`, `address` and `site` are of the
    request. What a server says of a visitor is in its events. `pepper` makes hashes of this client unlike others'.
    """

    rules: VisitorRules = VisitorRules()
    zone: ZoneInfo = ZoneInfo("UTC")
    pepper: bytes = b""
    countries: FindCountry | None = None
    is_browser: bool = False
    agent: str | None = None
    address: str | None = None
    site: str = ""


NOBODY = Sender()


def sender_of(client: TenantContext, countries: FindCountry | None = None) -> Sender:
    """Make the context of events that a client's server sends."""
    return Sender(
        rules=client.rules,
        zone=_zone(client.timezone),
        pepper=client.placement.schema.encode(),
        countries=countries if client.rules.geo else None,
    )


_zone = lru_cache(maxsize=1024)(ZoneInfo)
