"""Check that a delivery was signed by who knows the source's secret, and lately. Pure.

Called by the receiver with the body as it came. Whatever is compared is compared in constant time.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from provisioning.hooks.requests import Signature

TOLERANCE_S = 300
# A sender that changes its secret signs with both; more than a few would only be work.
_MAX_SIGNATURES = 10
_MAX_DIGITS = 12
_WHSEC = "whsec_"
# By lower-case name.
Headers = Mapping[str, str]


class Doubt(StrEnum):
    """Why a delivery is not believed."""

    UNKNOWN = "unknown_source"
    NO_SECRET = "no_secret"  # noqa: S105 - a name
    MISSING = "missing"
    WRONG = "wrong"
    STALE = "stale"


class SignatureRefused(Exception):
    """A delivery is not believed; counted, and never told to the sender."""

    def __init__(self, doubt: Doubt) -> None:
        super().__init__(doubt.value)
        self.doubt = doubt


def check_stripe(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> None:
    """Check `Stripe-Signature: t=…,v1=…`: hex of HMAC-SHA256 over `{t}.{body}`.

    Errors: SignatureRefused.  Source: https://docs.stripe.com/webhooks#verify-manually
    """
    parts = [part.strip().partition("=") for part in _get(headers, "stripe-signature").split(",")]
    time = next((value for name, _, value in parts if name == "t"), "")
    given = [value for name, _, value in parts if name == "v1"]
    _require_match(given, [_hmac(secret.encode(), time.encode("latin-1") + b"." + body).hex() for secret in secrets])
    _require_fresh(time, now)


def check_standard(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> str:
    """Check `webhook-signature: v1,…`: base64 of HMAC-SHA256 over `{id}.{time}.{body}`; return the signed id.

    Errors: SignatureRefused.  Source: https://www.standardwebhooks.com
    """
    delivery_id, time = _get(headers, "webhook-id"), _get(headers, "webhook-timestamp")
    signed = f"{delivery_id}.{time}.".encode("latin-1") + body
    given = [part.removeprefix("v1,") for part in _get(headers, "webhook-signature").split() if part.startswith("v1,")]
    _require_match(given, [_base64(_hmac(_standard_key(secret), signed)) for secret in secrets])
    _require_fresh(time, now)
    return delivery_id


def check_hmac(signature: Signature, headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> None:
    """Check a header that holds HMAC-SHA256 over the body, or over `{time}.{body}`.

    Errors: SignatureRefused.
    """
    given = _get(headers, (signature.header or "").lower())
    if not given.startswith(signature.prefix):
        raise SignatureRefused(Doubt.WRONG)
    given = given.removeprefix(signature.prefix)
    time, signed = None, body
    if signature.timestamp_header is not None:
        time = _get(headers, signature.timestamp_header.lower())
        signed = time.encode("latin-1") + b"." + body
    digests = [_hmac(secret.encode(), signed) for secret in secrets]
    if signature.encoding == "hex":
        _require_match([given.lower()], [digest.hex() for digest in digests])
    else:
        _require_match([given], [_base64(digest) for digest in digests])
    if time is not None:
        _require_fresh(time, now)


def _get(headers: Headers, name: str) -> str:
    found = headers.get(name)
    if not found:
        raise SignatureRefused(Doubt.MISSING)
    return found


def _hmac(secret: bytes, signed: bytes) -> bytes:
    return hmac.digest(secret, signed, hashlib.sha256)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _standard_key(secret: str) -> bytes:
    """Read the key behind `whsec_`; a secret in another form is taken as it is."""
    if not secret.startswith(_WHSEC):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_WHSEC), validate=True)
    except ValueError:  # wrong characters, or a wrong number of them
        return secret.encode()


def _require_match(given: Sequence[str], expected: Sequence[str]) -> None:
    if not given:
        raise SignatureRefused(Doubt.MISSING)
    pairs = [(one.encode("latin-1"), other.encode()) for one in given[:_MAX_SIGNATURES] for other in expected]
    if not any([hmac.compare_digest(one, other) for one, other in pairs]):  # noqa: C419 - each of them, at any rate
        raise SignatureRefused(Doubt.WRONG)


def _require_fresh(time: str, now: datetime) -> None:
    if not (time.isascii() and time.isdigit() and len(time) <= _MAX_DIGITS):
        raise SignatureRefused(Doubt.STALE)
    if abs(now.timestamp() - int(time)) > TOLERANCE_S:
        raise SignatureRefused(Doubt.STALE)
