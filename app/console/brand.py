"""How a client's pages look: its name, colours and logo, with text that can be read on them.

Made from the registry's branding for every page of ours, and by the gateway for what it rebrands.
"""

import re

import msgspec

from tenants.placement import TenantContext

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_NEUTRAL_COLOUR = "#334155"
_WHITE, _BLACK = "#ffffff", "#000000"
# WCAG 2.2, 1.4.3: what text needs against its background.
READABLE = 4.5
_DARKER = 0.92


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """What a page shows of its client.

    Shape: colours are `#rrggbb`. `on_primary` is text on `primary`; `accent` is `primary` where it can be read on
    white, else a darker one; `logo` changes with the logo's picture, and is None where there is none.
    """

    name: str
    primary: str = _NEUTRAL_COLOUR
    on_primary: str = _WHITE
    accent: str = _NEUTRAL_COLOUR
    logo: str | None = None


NEUTRAL = Brand(name="Analytics")


def brand_of(client: TenantContext) -> Brand:
    """Make the brand of a client; what was not given, or cannot be used, is neutral."""
    primary = _six_digits(client.branding.get("primaryColor"))
    return Brand(
        name=client.name,
        primary=primary,
        on_primary=max((_WHITE, _BLACK), key=lambda colour: contrast(colour, primary)),
        accent=_readable_on_white(primary),
        logo=client.logo,
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [value / 255 for value in _channels(colour)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]  # noqa: PLR2004 - the constants of sRGB
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _readable_on_white(colour: str) -> str:
    while contrast(colour, _WHITE) < READABLE:
        colour = "#" + "".join(f"{int(value * _DARKER):02x}" for value in _channels(colour))
    return colour


def _six_digits(colour: object) -> str:
    """Write a colour in six lower-case digits; nothing else ever reaches a style sheet."""
    text = colour.lower() if isinstance(colour, str) else ""
    if len(text) == len("#rgb"):
        text = "#" + "".join(digit * 2 for digit in text[1:])
    return text if _COLOUR.fullmatch(text) else _NEUTRAL_COLOUR
