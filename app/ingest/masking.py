"""Take out of a body what is not even kept in quarantine: keys, tokens, and addresses of visitors.

Called by whatever puts bodies there.
"""

import re

from app.ingest.enrichment.redaction import name_addresses

_KEY = re.compile(rb"grv_[pasw]_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}")
# What stands before a token, as the `n` of a newline does in JSON, is gone through with it: a search from each `eyJ` of
# a row would take the square of its length.
_TOKEN = re.compile(rb"(?<![0-9A-Za-z_-])(?>([0-9A-Za-z_-]*?)eyJ)[0-9A-Za-z_-]++\.eyJ[0-9A-Za-z_-]++\.[0-9A-Za-z_-]++")
_NAME = name_addresses("[_-]?").encode()
_VALUE = rb"\"(?:[^\"\\]|\\.)*+\"|\[[^][{}]*+\]|\{[^][{}]*+\}|[^][{},\s\"]++"
_ADDRESS = re.compile(rb"(\"\$?(?:" + _NAME + rb")\"\s*+:\s*+)(?:" + _VALUE + rb")", re.IGNORECASE | re.DOTALL)


def mask(raw: bytes) -> bytes:
    """Mask a body, be it JSON or not."""
    if b"grv_" in raw:
        raw = _KEY.sub(b"grv_redacted", raw)
    if b"eyJ" in raw:
        raw = _TOKEN.sub(rb"\1token_redacted", raw)
    return _ADDRESS.sub(rb"\1null", raw)
