"""Where `next` may lead."""

import pytest

from app.auth.destinations import default_page, login_page, safe_page
from app.settings import Settings

GOOD = [
    "/maple/",
    "/maple/grafana/",
    "/maple/grafana/d/user-events/user-events?orgId=3&from=now-7d&to=now",
    "/maple/dashboards/conversations?var-bot=a%26b",
    "/maple/grafana/explore?left=%5B%22now-1h%22%5D",
    "/maple/d/%C3%BCber",
    "/maple/x?next=https://evil.example/",
    "/maple/x?y=//evil.example",
    "/maple/x#panel-2",
    "/maple/a%20b",
]
BAD = [
    "",
    "/",
    "/maple",
    "maple/",
    "grafana/",
    "//evil.example",
    "///evil.example",
    "////evil.example/maple/",
    "//evil.example/maple/",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/maple/\\evil.example",
    "/%5Cevil.example",
    "/maple/%5cevil.example",
    "/maple/%255cevil.example",
    "/%2Fevil.example",
    "/maple/%2Fevil.example",
    "/maple/%2f%2fevil.example",
    "/maple/%252f%252fevil.example",
    "/maple//evil.example",
    "/\t/evil.example",
    "/%09/evil.example",
    "/maple/%09/evil.example",
    "/maple/%0d%0aSet-Cookie:%20a=b",
    "/maple/\r\nLocation: https://evil.example",
    "/maple/%00",
    "/maple/\x00",
    "\t//evil.example",
    " //evil.example",
    " /maple/",
    "https://evil.example/maple/",
    "https:/maple/",
    "https:evil.example",
    "http://grove.test/maple/",
    "HTTPS://evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt://maple/%0aalert(1)",
    "data:text/html,x",
    "//maple/",
    "/birch/",
    "/maplewood/",
    "/MAPLE/",
    "/maple/../birch/",
    "/maple/%2e%2e/birch/",
    "/maple/%252e%252e/birch/",
    "/maple/..;/birch/",
    "/maple/./login",
    "/maple/..",
    "/maple/%2e%2e%2fbirch/",
    "/maple/%ff",
    "/maple/login",
    "/maple/login?next=/maple/",
    "/maple/l%6fgin",
    "/maple/logout",
    "/maple/invitation/x",
    "/maple/reset/x",
    "/maple/assets/console.css",
    "/maple/ü",
    "/maple/\u2028",
    "/maple/\u3002",
    "/maple/'onload='x",
    '/maple/"><script>',
    "/maple/?x=<script>",
    "/maple/%25252525252e",
    "/maple/%3Fx%3D1%23",
    "/maple/" + "a" * 2000,
    "@evil.example/maple/",
    "/@evil.example",
    "?next=/maple/",
    "#/maple/",
    ";/maple/",
]


@pytest.mark.parametrize("wanted", GOOD)
def test_pages_of_the_client_are_led_to(wanted: str) -> None:
    assert safe_page(wanted, "/maple") == wanted


@pytest.mark.parametrize("wanted", BAD)
def test_nothing_else_is_led_to(wanted: str) -> None:
    assert safe_page(wanted, "/maple") is None


def test_nothing_given_leads_nowhere() -> None:
    assert safe_page(None, "/maple") is None


@pytest.mark.parametrize("wanted", ["//evil.example", "/\\evil.example", "/login", "/%2fevil.example", "https://x/"])
def test_on_a_host_of_its_own_no_other_host_is_led_to_either(wanted: str) -> None:
    assert safe_page(wanted, "") is None
    assert safe_page("/grafana/d/x", "") == "/grafana/d/x"


def test_the_login_page_leads_back_only_where_it_may() -> None:
    assert (
        login_page("/maple", "/maple/d/x?from=now-1h&to=now")
        == "/maple/login?next=/maple/d/x%3Ffrom%3Dnow-1h%26to%3Dnow"
    )
    assert login_page("/maple", "//evil.example") == "/maple/login"


def test_staff_land_in_grafana_where_there_is_one() -> None:
    assert default_page(Settings(), "/maple") == "/maple/"
    assert default_page(Settings(grafana_url="http://127.0.0.1:3000"), "/maple") == "/maple/grafana/"
