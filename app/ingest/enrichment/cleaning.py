"""Take secrets and personal data out of every value of an event. Pure; called by the steps.

A lead's name and address are what its event is for, and stay in `"Leads"`; they are gone from `events`.
"""

import re
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from app.ingest.enrichment.redaction import (
    KEPT_TEXTS,
    REDACTED,
    is_business_id,
    is_secret_property,
    redact_line,
    redact_text,
)

# Whatever the rules of redaction look for has one of these in it, in lower case, or a long number.
_MARKS = (
    "@", "%", "=", "\\u00", "\\u20", "passw", "pwd", "secret", "token", "api", "card", "cv", "ssn", "iban", "authoriz",
    'ip"', "addr", "forward",
)  # fmt: skip
# What stands between its digits may be written as `\t`; one set of characters is looked through faster than two ways.
_LONG_NUMBER = re.compile(r"[0-9](?:[ \u00a0\u2009\u202f.+_\u2013\\tnr-]{0,6}[0-9]){12}")
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def clean_properties(text: str) -> str:
    """Redact the text of a JSON object; one that cannot hold anything is not looked into."""
    if not is_suspicious(text):
        return text
    value = _decode(text)
    clean = clean_value(value)
    return text if clean == value else _encode(clean).decode()


def is_suspicious(text: str) -> bool:
    """Tell whether JSON may hold something to redact."""
    plain = text.lower()
    for mark in _MARKS:
        if mark in plain:
            return True
    return _LONG_NUMBER.search(text) is not None


def clean_value(value: Any, name: str = "") -> Any:
    """Redact a value of JSON, which may be the property `name` of an object."""
    match value:
        case dict():
            # The name of a property may be an address itself.
            return {redact_line(key): clean_value(each, key) for key, each in value.items()}
        case list():
            return [clean_value(each, name) for each in value]
        case None | bool():
            return value
    if is_secret_property(name) and value != "":
        return REDACTED
    text = str(value)
    if text.isdecimal() and text.isascii() and is_business_id(name):
        return value
    clean = redact_text(text)
    return value if clean == text else clean


@lru_cache(maxsize=KEPT_TEXTS)
def redact_lines(lines: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """Redact lines that come together again and again, such as what is known of a page."""
    return tuple(None if line is None else redact_text(line) for line in lines)


def clean_id(given: str | None, pepper: bytes) -> str | None:
    """Put a hash in the place of an id that is an e-mail address, so that its owner's events stay together."""
    if given is None or ("@" not in given and "%" not in given) or redact_line(given) == given:
        return given
    return "id-" + blake2b(given.lower().encode(), key=pepper[:64], digest_size=16).hexdigest()
