"""Which deliveries are believed: by each service's way of signing."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.ingest.hooks.signatures import (
    TOLERANCE_S,
    Doubt,
    SignatureRefused,
    check_hmac,
    check_standard,
    check_stripe,
)
from provisioning.hooks.requests import Signature

NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
TIME = str(int(NOW.timestamp()))
BODY = b'{"name": "caf\xc3\xa9"}'
SECRET = "whsec_" + base64.b64encode(b"a key of 24 random bytes").decode()
CHATWOOT = Signature(scheme="hmac", header="X-Sig", prefix="sha256=", timestamp_header="X-Time")
SHOPIFY = Signature(scheme="hmac", header="X-Sig", encoding="base64")


def digest(signed: bytes, key: bytes = SECRET.encode()) -> bytes:
    """Sign as the services do."""
    return hmac.new(key, signed, hashlib.sha256).digest()


def stripe(time: str = TIME, body: bytes = BODY, key: str = SECRET) -> dict[str, str]:
    """Write the header that Stripe sends."""
    return {"stripe-signature": f"t={time},v1={digest(f'{time}.'.encode() + body, key.encode()).hex()},v0=00"}


def standard(time: str = TIME, message: str = "msg_1") -> dict[str, str]:
    """Write the headers of Standard Webhooks."""
    signed = digest(f"{message}.{time}.".encode() + BODY, b"a key of 24 random bytes")
    signature = f"v1a,AAAA v1,{base64.b64encode(signed).decode()}"
    return {"webhook-id": message, "webhook-timestamp": time, "webhook-signature": signature}


def doubt_of(check: Callable[[], object]) -> Doubt | None:
    """Tell why a delivery is refused; None if it is not."""
    try:
        check()
    except SignatureRefused as refused:
        return refused.doubt
    return None


def test_a_delivery_of_stripe_is_believed_whichever_of_the_secrets_signed_it() -> None:
    assert doubt_of(lambda: check_stripe(stripe(), BODY, [SECRET], NOW)) is None
    assert doubt_of(lambda: check_stripe(stripe(), BODY, ["whsec_new", SECRET], NOW)) is None
    both = {"stripe-signature": f"t={TIME},v1={'0' * 64}," + stripe()["stripe-signature"].split(",", 1)[1]}
    assert doubt_of(lambda: check_stripe(both, BODY, [SECRET], NOW)) is None


@pytest.mark.parametrize(
    ("headers", "doubt"),
    [
        ({}, Doubt.MISSING),
        ({"stripe-signature": ""}, Doubt.MISSING),
        ({"stripe-signature": f"t={TIME},v0={'0' * 64}"}, Doubt.MISSING),
        ({"stripe-signature": f"t={TIME},v1="}, Doubt.WRONG),
        ({"stripe-signature": f"t={TIME},v1={'é' * 64}"}, Doubt.WRONG),
        (stripe(body=BODY + b" "), Doubt.WRONG),
        (stripe(key="whsec_other"), Doubt.WRONG),
        ({"stripe-signature": stripe()["stripe-signature"].replace(TIME, str(int(TIME) + 1))}, Doubt.WRONG),
        (stripe(time=""), Doubt.STALE),
        (stripe(time="9" * 30), Doubt.STALE),
        (stripe(time=str(int(TIME) - TOLERANCE_S - 1)), Doubt.STALE),
        (stripe(time=str(int(TIME) + TOLERANCE_S + 1)), Doubt.STALE),
    ],
)
def test_a_delivery_of_stripe_that_is_not_signed_rightly_and_lately_is_refused(
    headers: dict[str, str], doubt: Doubt
) -> None:
    assert doubt_of(lambda: check_stripe(headers, BODY, [SECRET], NOW)) is doubt


def test_the_tolerance_holds_to_the_second() -> None:
    for seconds in (-TOLERANCE_S, TOLERANCE_S):
        assert doubt_of(lambda: check_stripe(stripe(), BODY, [SECRET], NOW + timedelta(seconds=seconds))) is None  # noqa: B023


def test_the_id_of_a_standard_delivery_is_signed_with_it() -> None:
    assert check_standard(standard(), BODY, [SECRET], NOW) == "msg_1"
    assert doubt_of(lambda: check_standard(standard() | {"webhook-id": "msg_2"}, BODY, [SECRET], NOW)) is Doubt.WRONG
    late = NOW + timedelta(seconds=TOLERANCE_S + 1)
    assert doubt_of(lambda: check_standard(standard(), BODY, [SECRET], late)) is Doubt.STALE
    for name in standard():
        missing = {other: value for other, value in standard().items() if other != name}
        assert doubt_of(lambda: check_standard(missing, BODY, [SECRET], NOW)) is Doubt.MISSING  # noqa: B023


def test_a_secret_that_is_no_base64_is_taken_as_it_is() -> None:
    for secret in ("plain secret", "whsec_é not base64"):
        signed = base64.b64encode(digest(f"m.{TIME}.".encode() + BODY, secret.encode())).decode()
        headers = {"webhook-id": "m", "webhook-timestamp": TIME, "webhook-signature": f"v1,{signed}"}
        assert check_standard(headers, BODY, [secret], NOW) == "m"


def test_a_header_of_its_own_may_sign_the_body_alone_or_with_the_time() -> None:
    body_alone = {"x-sig": base64.b64encode(digest(BODY)).decode()}
    assert doubt_of(lambda: check_hmac(SHOPIFY, body_alone, BODY, [SECRET], NOW + timedelta(days=99))) is None
    assert doubt_of(lambda: check_hmac(SHOPIFY, body_alone, BODY + b"\n", [SECRET], NOW)) is Doubt.WRONG
    timed = {"x-sig": "sha256=" + digest(f"{TIME}.".encode() + BODY).hex().upper(), "x-time": TIME}
    assert doubt_of(lambda: check_hmac(CHATWOOT, timed, BODY, [SECRET], NOW)) is None
    assert doubt_of(lambda: check_hmac(CHATWOOT, timed, BODY, [SECRET], NOW + timedelta(hours=1))) is Doubt.STALE
    assert doubt_of(lambda: check_hmac(CHATWOOT, timed | {"x-time": "1"}, BODY, [SECRET], NOW)) is Doubt.WRONG
    bare = timed | {"x-sig": timed["x-sig"].removeprefix("sha256=")}
    assert doubt_of(lambda: check_hmac(CHATWOOT, bare, BODY, [SECRET], NOW)) is Doubt.WRONG
    assert doubt_of(lambda: check_hmac(CHATWOOT, {"x-sig": timed["x-sig"]}, BODY, [SECRET], NOW)) is Doubt.MISSING
