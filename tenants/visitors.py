"""What a client lets be collected of its visitors; kept in the registry, applied by `app.ingest.enrichment`."""

from enum import StrEnum
from typing import Any

import msgspec


class Bots(StrEnum):
    """What becomes of events of programs that say that they are some."""

    FILTER = "filter"
    FLAG = "flag"
    KEEP = "keep"


class Privacy(StrEnum):
    """What of a browser's identifiers is kept, whatever the page sends.

    `off`: what is sent. `balanced`: a visitor's id is another every day. `strict`: none, and no person.
    """

    STRICT = "strict"
    BALANCED = "balanced"
    OFF = "off"


class VisitorRules(msgspec.Struct, frozen=True, kw_only=True):
    """A client's rules.

    Shape: `traits` are the names of those that may be kept of a person, `name` and `email` too only where listed.
    """

    bots: Bots = Bots.FILTER
    privacy: Privacy = Privacy.OFF
    traits: tuple[str, ...] = ()
    geo: bool = True


DEFAULT_RULES = VisitorRules()


def rules_of(stored: dict[str, Any]) -> VisitorRules:
    """Read a client's rules from the registry; what is not there is as usual."""
    return msgspec.convert(stored, VisitorRules) if stored else DEFAULT_RULES
