"""Names and paths of staff's cookies."""

from typing import Any

import pytest

from app.auth.cookies import DEVICE, FORM, SESSION, cookie_jar
from app.settings import Settings

HTTPS = Settings(public_url="https://grove.example")


def scope_of(*cookies: str, own_host: bool = False) -> Any:
    headers = [(b"cookie", cookie.encode()) for cookie in cookies]
    return {"type": "http", "headers": headers, "state": {"own_host": True} if own_host else {}}


def test_over_https_a_cookie_is_secure_and_below_the_clients_path() -> None:
    jar = cookie_jar(HTTPS, scope_of(), "maple")
    assert jar is not None
    header = jar.make(SESSION, "token").to_header()
    assert header.startswith("Set-Cookie: __Secure-grove=token; ")
    for part in ("HttpOnly", "Path=/maple/", "SameSite=lax", "Secure"):
        assert part in header
    assert "Domain" not in header


def test_on_a_host_of_its_own_a_client_has_cookies_of_that_host_alone() -> None:
    jar = cookie_jar(HTTPS, scope_of(own_host=True), "maple")
    assert jar is not None
    header = jar.make(SESSION, "token").to_header()
    assert header.startswith("Set-Cookie: __Host-grove=token; ")
    assert "Path=/;" in header
    assert "Secure" in header
    assert "Domain" not in header


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_plain_http_is_for_this_machine_and_has_no_prefix(address: str) -> None:
    jar = cookie_jar(Settings(public_url=address), scope_of(), "maple")
    assert jar is not None
    header = jar.make(SESSION, "token").to_header()
    assert header.startswith("Set-Cookie: grove=token; ")
    assert "Secure" not in header
    assert "Path=/maple/" in header


@pytest.mark.parametrize("address", ["http://grove.example", "http://192.168.1.5", "http://localhost.example"])
def test_plain_http_over_a_network_has_no_cookies_at_all(address: str) -> None:
    assert cookie_jar(Settings(public_url=address), scope_of(), "maple") is None


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (["__Secure-grove=a"], "a"),
        (["x=1; __Secure-grove=a; y=2"], "a"),
        (["x=1", "__Secure-grove=a"], "a"),
        (["__Secure-grove=a; __Secure-grove=b"], "a"),
        (["grove=a"], None),
        (["__Host-grove=a"], None),
        (["__secure-grove=a"], None),
        (["__Secure-grove-form=a"], None),
        (["__Secure-grove=" + "a" * 501], None),
        ([], None),
    ],
)
def test_only_the_very_cookie_is_read(sent: list[str], read: str | None) -> None:
    scope = scope_of(*sent)
    jar = cookie_jar(HTTPS, scope, "maple")
    assert jar is not None
    assert jar.read(scope, SESSION) == read


def test_the_cookies_are_told_apart() -> None:
    jar = cookie_jar(HTTPS, scope_of(), "maple")
    assert jar is not None
    assert len({jar.name(kind) for kind in (SESSION, FORM, DEVICE)}) == 3
    assert "Max-Age=0" in jar.drop(SESSION).to_header()
