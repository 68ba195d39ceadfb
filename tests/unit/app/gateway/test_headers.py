"""Which headers reach Grafana, whatever is sent."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.auth.sessions import StaffMember
from app.gateway.headers import replace, to_browser, to_grafana
from tenants.ids import TenantId
from tests.support.spoofs import HEADER_SPOOFS

IDENTITY = "X-Grove-5e8c1a"
MEMBER = StaffMember(
    staff_id=UUID(int=1), client_id=TenantId("maple"), email="ana@maple.example", name="Ana", role="viewer", csrf="c",
    session=b"s", expires_at=datetime(2030, 1, 1, tzinfo=UTC),
)  # fmt: skip
OWN = {"accept-encoding": "identity", "x-grove-5e8c1a": "maple:ana@maple.example", "x-grafana-org-id": "7"}


def sent_on(*sent: tuple[bytes, bytes]) -> dict[str, str]:
    made = to_grafana(sent, IDENTITY, MEMBER, 7, gzip=False)
    names = [name.lower() for name, _ in made]
    assert len(names) == len(set(names))
    return {name.lower(): value for name, value in made}


def test_there_are_enough_spoofs_to_mean_something() -> None:
    assert len(set(HEADER_SPOOFS)) >= 60


@pytest.mark.parametrize(
    "spoof", [*HEADER_SPOOFS, (b"x-grove-5e8c1a", b"admin"), (b"X_GROVE_5E8C1A", b"admin")], ids=repr
)
def test_a_header_that_says_who_somebody_is_ends_at_the_gateway(spoof: tuple[bytes, bytes]) -> None:
    assert sent_on(spoof) == OWN
    assert sent_on((spoof[0].lower(), spoof[1]), (b"connection", b"x-grove-5e8c1a, x-grafana-org-id")) == OWN
    assert sent_on((b"accept", b"*/*"), spoof, spoof) == OWN | {"accept": "*/*"}


def test_of_a_header_that_came_twice_the_first_counts() -> None:
    assert sent_on((b"accept", b"a"), (b"Accept", b"b"))["accept"] == "a"


def test_compression_is_asked_for_only_where_the_answer_is_passed_on() -> None:
    made = dict(to_grafana([(b"accept-encoding", b"br, gzip")], IDENTITY, MEMBER, 7, gzip=True))
    assert made["accept-encoding"] == "gzip"


def test_what_grafana_says_about_itself_or_sets_does_not_come_back() -> None:
    received = [
        (b"Content-Type", b"application/json"), (b"Set-Cookie", b"grafana_session=x"), (b"Server", b"Grafana"),
        (b"X-Grafana-Org-Id", b"7"), (b"Connection", b"close"), (b"Transfer-Encoding", b"chunked"), (b"Via", b"1.1 x"),
        (b"X-Frame-Options", b"allow"), (b"Keep-Alive", b"1"), (b"ETag", b'"1"'), (b"Location", b"/login"),
    ]  # fmt: skip
    made = to_browser(received)
    assert {name for name, _ in made} == {
        b"content-type", b"etag", b"x-content-type-options", b"x-frame-options", b"referrer-policy",
        b"cross-origin-opener-policy", b"cross-origin-resource-policy",
    }  # fmt: skip
    assert dict(made)[b"x-frame-options"] == b"DENY"


def test_headers_are_replaced_and_dropped_by_name() -> None:
    headers = [(b"cache-control", b"public"), (b"etag", b"1"), (b"vary", b"x")]
    assert replace(headers, cache_control=b"no-store", etag=None) == [(b"vary", b"x"), (b"cache-control", b"no-store")]
