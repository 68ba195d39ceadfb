"""What a delivery of a webhook holds, and what translations of it share. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from app.ingest.outcomes import Filtered, FilterReason
from app.ingest.readings import moment
from app.ingest.steps import converted

# Stripe's own: of these there is nothing smaller than one, and of those a thousandth.
# ISK and UGX are told in hundredths although there are none.  Source: https://docs.stripe.com/currencies
_ZERO = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THREE = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
# Far longer than services try.
_MAX_AGE = timedelta(days=7)
Told = dict[str, Any]
T = TypeVar("T", bound=msgspec.Struct)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery whose signature was right.

    Shape: of the headers (by lower-case name) only `signed_id` is vouched for; `now` is when it came, and for `memory`
    after that it is recognised when it comes again.
    """

    source_id: UUID
    payload: Any
    headers: Mapping[str, str]
    digest: str
    now: datetime
    memory: timedelta
    accept_test: bool = False
    signed_id: str | None = None


def read_as(kind: type[T], value: Any, pointer: str = "") -> T:
    """Read a part of a payload.

    Errors: Refusal with a pointer.
    """
    return converted(lambda: msgspec.convert(value, kind), pointer)


def require_recent(at: datetime, delivery: Delivery) -> None:
    """Pass over what happened long ago where no time is signed: somebody may send again what they once saw.

    Errors: Filtered.
    """
    if at.tzinfo is None or delivery.now - at > min(_MAX_AGE, delivery.memory):
        raise Filtered(FilterReason.STALE)


def from_minor(units: int, currency: str) -> str:
    """Write an amount in minor units, as Stripe counts them, as a decimal number."""
    decimals = 0 if currency in _ZERO else 3 if currency in _THREE else 2
    return str(Decimal(units).scaleb(-decimals))


def time_of(seconds: float) -> str:
    """Write Unix seconds, or milliseconds, as RFC 3339."""
    try:
        return moment(seconds).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(seconds)  # which the steps refuse as no time
