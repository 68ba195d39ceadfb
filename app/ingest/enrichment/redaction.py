"""Take e-mail addresses, card numbers and secrets out of text. Pure; the browser's SDK does the same beforehand.

Called by the cleaning step. The rules and their corpus, `tests/data/redaction.json`, are shared with the SDK. Every
pattern here takes time in proportion to the text, whatever the text is.
"""

import re
from functools import lru_cache
from urllib.parse import unquote

REDACTED = "REDACTED"
KEPT_TEXTS = 16_384


def name_addresses(between: str = "") -> str:
    """Write the pattern of what a visitor's address is called, with another one `between` its words."""
    return (
        rf"(?:(?:client|user|remote|visitor){between})?ip(?:{between}addr(?:ess)?)?|remote{between}addr"
        rf"|(?:x{between})?forwarded{between}for"
    )


# What may stand before the @, one at a time; it may be percent-encoded, once or several times, as may the @ itself.
_AT = r"(?:@|%(?:25)*40)"
_LOCAL = r"(?:[\w.+'!$*~^-]|%(?!(?:25)*40)[0-9A-Fa-f]{2})"
# A match begins where such characters begin, or else a long text of them would be gone through from each of them on.
_BEGINNING = r"(?<![\w.+'!$*~^-])(?!(?<=%)[0-9A-Fa-f]{2})"
_EMAIL = re.compile(rf"{_BEGINNING}{_LOCAL}++{_AT}[\w-]++(?:\.[\w-]++)+")
_LOGIN = re.compile(r"(?<=://)[^/?#\s@]*+@(?:[^/?#\s@]*+@)*")
_SAID = re.compile(
    r"((?:passw(?:or)?d|pwd|secret|token|api[_-]?key|cvv|cvc|ssn|iban)\w{0,16}+[\"']?\s{0,3}+[:=]\s{0,3}+)"
    r"(?:(\")[^\"]++|(')[^']++|[^&#\s\"',;}]++)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"(?:(?<=[?&#;])|^)([^=&#?;\s]{1,64}+)=([^&#\s]++)")
# Digits in groups, as people write them; each whole number of groups may be a card.
# No commas and slashes: coordinates have as many digits as cards.
_BETWEEN = r"[ \t\r\n\u00a0\u2009\u202f.+_\u2013-]|%20|%09|%0[AaDd]|%2[Dd]|%[Cc]2%[Aa]0"
_DIGITS = re.compile(rf"(?<![0-9])[0-9](?:(?:{_BETWEEN}){{0,3}}+[0-9]){{12,}}+")
_SEPARATOR = re.compile(rf"(?:{_BETWEEN})+")
_CARD = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5\d{15}|5[0678]\d{11,17}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|6\d{15,18}"
    r"|8[12]\d{14}|9792\d{12}",
    re.ASCII,
)
_MOST_DIGITS = 19
_MOST_GROUPS = 8
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_ADDRESS = name_addresses()
# By the name of a parameter, in lower case and without what separates words.
_SECRET_PARAMETER = re.compile(
    r".*(?:password|passwd|secret|token|apikey|signature|email|cardnumber|cvv|cvc|ssn|iban)"
    r"|pwd|pass|auth|authorization|key|sig|sid|session|sessionid|jwt|otp|pin|code|mail|phone|tel|mobile|card|cc"
    rf"|{_ADDRESS}"
)
# By the name of a property: these words mean nothing else, and an address is never kept.
_SECRET_PROPERTY = re.compile(
    r".*(?:password|passwd|secret|token|apikey|cardnumber|cvv|cvc|ssn|iban)|pwd|authorization"
    rf"|{_ADDRESS}"
)
# What shops number their things by: a row of digits there is no card, and two of them must not become one.
_BUSINESS_ID = re.compile(
    r"(?:order|product|refund|payment|transaction|item|variant|invoice)id|sku|ean|gtin|upc|barcode"
)
_BETWEEN_WORDS = re.compile(r"[\W_]+")


@lru_cache(maxsize=KEPT_TEXTS)
def redact_line(text: str) -> str:
    """Redact a short text that comes again and again, such as the URL of a page."""
    return redact_text(text)


def redact_text(text: str) -> str:
    """Put marks in the place of logins in URLs, values of secret parameters, e-mail addresses and card numbers."""
    clean = _redact(text)
    return _redact_encoded(clean) if "%" in clean else clean


def is_secret_parameter(name: str) -> bool:
    """Tell whether a URL's parameter of this name holds what is nobody's business."""
    return _SECRET_PARAMETER.fullmatch(_plain(name)) is not None


@lru_cache(maxsize=4096)
def is_secret_property(name: str) -> bool:
    """Tell whether a property of this name holds what is nobody's business."""
    return _SECRET_PROPERTY.fullmatch(_plain(name)) is not None


@lru_cache(maxsize=4096)
def is_business_id(name: str) -> bool:
    """Tell whether a property of this name tells orders, products and the like apart."""
    return _BUSINESS_ID.fullmatch(_plain(name)) is not None


def _plain(name: str) -> str:
    return _BETWEEN_WORDS.sub("", unquote(name)).lower()


def _redact(text: str) -> str:
    if "=" in text:
        text = _PARAMETER.sub(_redact_parameter, text)
    if ":" in text or "=" in text:
        text = _SAID.sub(_redact_said, text)
    if "@" in text or "%" in text:
        text = _EMAIL.sub(REDACTED, _LOGIN.sub("", text))
    return _DIGITS.sub(_redact_cards, text)


def _redact_parameter(match: re.Match[str]) -> str:
    return f"{match[1]}={REDACTED}" if is_secret_parameter(match[1]) else match[0]


def _redact_said(match: re.Match[str]) -> str:
    """Redact all between quotation marks, or a word."""
    return f"{match[1]}{match[2] or match[3] or ''}{REDACTED}"


def _redact_cards(match: re.Match[str]) -> str:
    """Redact neighbouring groups of digits if there is a card among them, since what belongs to it stands beside it."""
    groups = _SEPARATOR.split(match[0])
    return REDACTED if any(_begins_card(groups, first) for first in range(len(groups))) else match[0]


def _begins_card(groups: list[str], first: int) -> bool:
    """Tell whether a card's number begins with a group, and ends with it or a later one."""
    digits = ""
    for group in groups[first : first + _MOST_GROUPS]:
        digits += group
        if len(digits) > _MOST_DIGITS:
            return False
        if _CARD.fullmatch(digits) and _luhn(digits):
            return True
    return False


def _luhn(digits: str) -> bool:
    """Check a number as card issuers do (ISO/IEC 7812-1)."""
    return (sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])) % 10 == 0


def _redact_encoded(text: str) -> str:
    """Redact the parts of a URL that hide something behind percent signs."""
    return "".join(_redact_part(part) for part in re.split(r"([/?&#=;\s])", text))


def _redact_part(part: str) -> str:
    if "%" not in part:
        return part
    plain = unquote(part)
    return part if _redact(plain) == plain else REDACTED
