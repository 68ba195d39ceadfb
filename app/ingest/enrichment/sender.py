"""Whose events a request brings, as far as the steps need to know it. Immutable.

Made once per request by `app/ingest/arrivals.py`, and by replays.
"""

from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec

from tenants.placement import TenantContext
from tenants.visitors import Bots, Privacy, VisitorRules


class FindCountry(Protocol):
    """Tells of an address in which country it is."""

    def find(self, address: str) -> str | None:
        """Return a country's code, or None where it is not known."""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """The context of a request's events.

    Shape: `is_browser` tells that the visitor's own browser sent them: then `agent`, `address` and `subject` (what
    tells the visitor from others today) are of the request. What a server says of a visitor is in its events. `pepper`
    makes hashes of this client unlike others'.
    """

    rules: VisitorRules = VisitorRules()
    zone: ZoneInfo = ZoneInfo("UTC")
    pepper: bytes = b""
    countries: FindCountry | None = None
    is_browser: bool = False
    agent: str | None = None
    address: str | None = None
    subject: bytes | None = None


NOBODY = Sender()


def subject_of(address: str, agent: str | None, site: str) -> bytes:
    """Write down what tells a visitor without an id from others, for a day."""
    return "\0".join(("address", address, agent or "", site)).encode(errors="surrogatepass")


def sender_of(client: TenantContext, countries: FindCountry | None = None) -> Sender:
    """Make the context of events that a client's server sends."""
    return Sender(
        rules=client.rules,
        zone=_zone(client.timezone),
        pepper=client.placement.schema.encode(),
        countries=countries if client.rules.geo else None,
    )


def sender_of_quarantine(client: TenantContext) -> Sender:
    """Make the context of events that leave quarantine: nobody knows any more whether a browser sent them.

    Shape: so where a client has a privacy mode, they are taken for a browser's under the strictest. What a bot sent is
    flagged at most, since somebody asks for this very event.
    """
    rules, sender = client.rules, sender_of(client)
    bots = Bots.FLAG if rules.bots is Bots.FILTER else rules.bots
    if rules.privacy is Privacy.OFF:
        return msgspec.structs.replace(sender, rules=msgspec.structs.replace(rules, bots=bots))
    rules = msgspec.structs.replace(rules, bots=bots, privacy=Privacy.STRICT)
    return msgspec.structs.replace(sender, rules=rules, is_browser=True)


_zone = lru_cache(maxsize=1024)(ZoneInfo)
