"""Keep out of the store what it cannot hold, naming the place.

The common event is cleared by a few scans of its bytes; only one that looks suspicious is walked.
"""

import json
import re
from decimal import Decimal
from math import isinf

import msgspec

from app.ingest.outcomes import Code, Refusal
from tenants.pointers import escape

MAX_EVENT_BYTES = 131_072
MAX_DEPTH = 12
MAX_KEYS = 1_000
MAX_STRING = 32_768
_MAX_AMOUNT = Decimal(10) ** 14
_MICRO = Decimal("0.000001")
_INT64 = 2**63
_INT64_DIGITS = 20  # with a sign
# What the numeric of Postgres takes, which reads the numbers of jsonb: zeros alike, and those that are overwritten.
_MAX_DECIMALS = 16_383
_MAX_EXPONENT = 2**30 - 1
# A number with an exponent, or with more digits than 64 bits are sure to hold: looked at closely.
_SUSPICIOUS = re.compile(r"[:,\[]\s*-?[0-9.]+[eE]|[0-9]{19}", re.ASCII)
# `float` as a hook takes 1e400 as infinity, where msgspec itself would balk; numbers are not what this is read for.
_decode = msgspec.json.Decoder(float_hook=float).decode


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class _Members(list[tuple[str, object]]):
    """The members of an object, also those of one name: Postgres reads them all."""


# Reads sound JSON without losing anything of it.
_read_closely = json.JSONDecoder(parse_int=_Number, parse_float=_Number, object_pairs_hook=_Members).decode


def check_limits(raw: bytes) -> None:
    """Check one event's size, depth, keys and strings.

    Errors: Refusal with the pointer of the first offence.
    """
    if len(raw) > MAX_EVENT_BYTES:
        detail = f"An event holds {MAX_EVENT_BYTES} bytes at most, not {len(raw)}."
        raise Refusal(Code.EVENT_TOO_LARGE, "", detail)
    if (
        len(raw) > MAX_STRING
        or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH
        or raw.count(b":") > MAX_KEYS
        or b"\\u0000" in raw
    ):
        _Walk().visit(_decode(raw), "", 1)


def check_storable(properties: str, pointer: str) -> None:
    """Check that jsonb can hold an event's free part; its named fields are checked by their types.

    Errors: Refusal.
    """
    if "\\u0000" not in properties and _SUSPICIOUS.search(properties) is None:
        return
    try:
        _Walk().visit(_read_closely(properties), pointer, 2)
    except RecursionError as error:
        raise Refusal(Code.TOO_DEEP, pointer, f"Values nest {MAX_DEPTH} deep at most.") from error


def fit_amount(amount: Decimal, pointer: str) -> Decimal:
    """Round an amount to the six decimals that numeric(20, 6) keeps.

    Errors: Refusal if it is no number or too large.
    """
    rounded = round_amount(amount)
    if rounded is None:
        raise Refusal(Code.NUMBER_OUT_OF_RANGE, pointer, "An amount must be less than 10^14.")
    return rounded


def round_amount(amount: Decimal) -> Decimal | None:
    """Round to the six decimals that numeric(20, 6) keeps; None if that is no number, or too large for it."""
    if not amount.is_finite() or amount.copy_abs() >= _MAX_AMOUNT:  # to compute with 1e1000000 fails
        return None
    rounded = amount.quantize(_MICRO)
    return None if abs(rounded) >= _MAX_AMOUNT else rounded


class _Walk:
    """Visits every value of an event; counts keys on the way."""

    def __init__(self) -> None:
        self._keys = 0

    def visit(self, value: object, pointer: str, depth: int) -> None:
        if isinstance(value, _Number):
            _check_number(value, pointer)
        elif isinstance(value, str):
            self._check_string(value, pointer)
        elif isinstance(value, dict | list):
            self._descend(value, pointer, depth)

    def _descend(self, value: dict[str, object] | list[object], pointer: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Refusal(Code.TOO_DEEP, pointer, f"Values nest {MAX_DEPTH} deep at most.")
        pairs = value if isinstance(value, _Members) else value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            below = f"{pointer}/{escape(str(key))}"
            if isinstance(key, str):
                self._keys += 1
                if self._keys > MAX_KEYS:
                    raise Refusal(Code.TOO_MANY_KEYS, pointer, f"An event has {MAX_KEYS} keys at most.")
                # Told at what it is a key of: a pointer that held it could not be stored either.
                self._check_string(key, pointer)
            self.visit(item, below, depth + 1)

    def _check_string(self, text: str, pointer: str) -> None:
        if "\0" in text:
            raise Refusal(Code.NUL_BYTE, pointer, "The database cannot store NUL characters.")
        if len(text) > MAX_STRING:
            raise Refusal(Code.STRING_TOO_LONG, pointer, f"A string holds {MAX_STRING} characters at most.")


def _check_number(number: str, pointer: str) -> None:
    mantissa, _, exponent = number.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    if whole == number:
        if len(number) > _INT64_DIGITS or not -_INT64 <= int(number) < _INT64:
            raise Refusal(Code.NUMBER_OUT_OF_RANGE, pointer, "Whole numbers must fit into 64 bits.")
        return
    power = Decimal(exponent or 0)  # which may be longer than Python lets an int be
    if isinf(float(number)) or power > _MAX_EXPONENT:
        raise Refusal(Code.NUMBER_OUT_OF_RANGE, pointer, "The number is too large.")
    if len(fraction) - power > _MAX_DECIMALS:
        raise Refusal(Code.NUMBER_OUT_OF_RANGE, pointer, f"A number has {_MAX_DECIMALS} decimals at most.")
