"""Which encoding of an answer a caller takes. Asked by the routes that have an answer compressed already."""

import re

_WORTHLESS = re.compile(r"q=0(?:\.0*)?")


def takes_gzip(accept_encoding: str) -> bool:
    """Tell whether an `Accept-Encoding` lets an answer be gzip: by its name, else by `*`, unless that counts zero.

    Source: RFC 9110, section 12.5.3.
    """
    said = {}
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.partition(";")
        said[name.strip()] = weight.strip()
    weight = said.get("gzip", said.get("*", "q=0"))
    return _WORTHLESS.fullmatch(weight) is None
