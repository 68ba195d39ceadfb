"""Keep out of the store what it cannot hold, naming the place.

The common event is cleared by a few scans of its bytes; only one that looks suspicious is walked.
"""

import re
from decimal import Decimal

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
# A number with an exponent, or with more digits than 64 bits are sure to hold: looked at closely.
_SUSPICIOUS = re.compile(rb"[:,\[]\s*-?[0-9.]+[eE]|[0-9]{19}")
# `float` as a hook turns 1e400 into infinity, to be found with its pointer, where msgspec itself would only balk.
_decode = msgspec.json.Decoder(float_hook=float).decode


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


def check_numbers(properties: bytes, pointer: str) -> None:
    """Check the numbers of an event's free part; those of its named fields are checked by their types.

    Errors: Refusal.
    """
    if _SUSPICIOUS.search(properties) is not None:
        _Walk().visit(_decode(properties), pointer, 2)


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
    if not amount.is_finite() or abs(amount) >= _MAX_AMOUNT:
        return None
    rounded = amount.quantize(_MICRO)
    return None if abs(rounded) >= _MAX_AMOUNT else rounded


class _Walk:
    """Visits every value of an event; counts keys on the way."""

    def __init__(self) -> None:
        self._keys = 0

    def visit(self, value: object, pointer: str, depth: int) -> None:
        if isinstance(value, str):
            self._check_string(value, pointer)
        elif isinstance(value, float):
            if value in {float("inf"), float("-inf")}:
                raise Refusal(Code.NUMBER_OUT_OF_RANGE, pointer, "The number is too large.")
        elif isinstance(value, int):
            if not -_INT64 <= value < _INT64:
                raise Refusal(Code.NUMBER_OUT_OF_RANGE, pointer, "Whole numbers must fit into 64 bits.")
        elif isinstance(value, dict | list):
            self._descend(value, pointer, depth)

    def _descend(self, value: dict[str, object] | list[object], pointer: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Refusal(Code.TOO_DEEP, pointer, f"Values nest {MAX_DEPTH} deep at most.")
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
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
