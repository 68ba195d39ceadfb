"""Keep texts from being run as formulas by a spreadsheet that opens a CSV file; and take that back. Pure.

Written by `exporter`, undone by `files` for files of ours. Source: OWASP, CSV injection.
"""

_QUOTE = "'"
# A text that begins with the quote itself is defended too, so that taking it back is exact.
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", _QUOTE)


def defended(text: str) -> str:
    """Put a quote before a text that a spreadsheet might run."""
    return _QUOTE + text if text.startswith(_RISKY) else text


def bare(value: object) -> object:
    """Take the quote away again; other values and texts are left as they are."""
    if isinstance(value, str) and value.startswith(_QUOTE) and value[1:].startswith(_RISKY):
        return value[1:]
    return value
