"""Values as others write them, in our spelling. Pure; used by the dialects.

What is not understood stays as it is, so that the steps refuse it and say why.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

import msgspec
from msgspec import Raw

from app.ingest.limits import round_amount
from app.ingest.readings import currency_code, moment

Fields = dict[str, Raw]

_MOST_DIGITS = 15
_NOTHING = (b"null", b'""')
_split = msgspec.json.Decoder(Fields).decode
_split_items = msgspec.json.Decoder(list[Fields]).decode
_text = msgspec.json.Decoder(str).decode
_join = msgspec.json.Encoder().encode


def fields_of(raw: bytes | Raw | None) -> Fields | None:
    """Split an object into its fields; None if it is none, or one that nobody could read."""
    if raw is None:
        return None
    try:
        return _split(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def text_of(raw: Raw | None) -> str | None:
    """Read a text; None if it is something else."""
    if raw is None:
        return None
    try:
        return _text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def raw_of(value: object) -> Raw:
    """Write a value as JSON."""
    return Raw(_join(value))


def is_said(raw: Raw | None) -> bool:
    """Tell whether there is anything; many send an empty text for nothing."""
    return raw is not None and bytes(raw) not in _NOTHING


def first_of(places: Iterable[Fields], names: Iterable[str]) -> Raw | None:
    """Find the first of these names that says something, in the first place that has it."""
    for place in places:
        for name in names:
            if is_said(place.get(name)):
                return place[name]
    return None


def id_of(raw: Raw | None) -> Raw | None:
    """Write an id, which may be a whole number elsewhere, as text."""
    number = b"" if raw is None else bytes(raw)
    return raw_of(number.decode()) if number.removeprefix(b"-").isdigit() else raw


def currency_of(raw: Raw | None) -> Raw | None:
    """Write a currency, which may be in small letters elsewhere, as ISO 4217 does; None if it is none."""
    code = currency_code(text_of(raw))
    return None if code is None else raw_of(code)


def amount_of(raw: Raw | None) -> Raw | None:
    """Write an amount, which may be a text elsewhere, as a number; None if it is none that we could store."""
    number = _decimal_of(raw)
    rounded = None if number is None else round_amount(number)
    return None if rounded is None else Raw(f"{rounded.normalize():f}".encode())


def number_of(raw: Raw | None) -> Raw | None:
    """Write a number, which may be a text elsewhere, as one."""
    number = _decimal_of(raw)
    if number is None or not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return raw
    return Raw(f"{number:f}".encode())


def _decimal_of(raw: Raw | None) -> Decimal | None:
    said = text_of(raw)
    try:
        return None if raw is None else Decimal(bytes(raw).decode() if said is None else said)
    except (InvalidOperation, UnicodeDecodeError):
        return None


def time_of(raw: Raw | None) -> Raw | None:
    """Write a time as RFC 3339: one without an offset is UTC, a number is seconds or milliseconds since 1970."""
    at = read_time(raw)
    said = text_of(raw)
    if at is None or (said is not None and at.tzinfo is not None):
        return raw
    return raw_of(at.replace(tzinfo=at.tzinfo or UTC))


def read_time(raw: Raw | None) -> datetime | None:
    """Read a time; None if it is none. One without an offset is given back without one."""
    if raw is None:
        return None
    try:
        said = text_of(raw)
        if said is not None:
            return datetime.fromisoformat(said)
        return moment(float(bytes(raw)))
    except (ValueError, OverflowError, OSError):
        return None


def shift_time(raw: Raw | None, by: timedelta) -> Raw | None:
    """Move a time; what is none stays as it is."""
    at = read_time(raw)
    try:
        return raw if at is None or at.tzinfo is None else raw_of((at + by).astimezone(UTC))
    except OverflowError:
        return raw


def items_of(raw: Raw | None) -> Raw | None:
    """Write the items of an order as ours: `product_id`, `quantity` and `price`, the last two as numbers."""
    if raw is None:
        return None
    try:
        items = _split_items(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw
    for item in items:
        product_id = first_of([item], ("product_id", "productId", "id", "sku"))
        for name, value in (
            ("product_id", id_of(product_id)),
            ("quantity", number_of(item.get("quantity"))),
            ("price", number_of(item.get("price"))),
        ):
            if value is not None:
                item[name] = value
    return raw_of(items)
