"""Whose address counts."""

from typing import Any

import pytest

from app.auth.addresses import client_address


def scope_of(peer: str | None, *forwarded: str) -> Any:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"type": "http", "headers": headers, "client": None if peer is None else (peer, 4711)}


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        # Behind a proxy that nobody told us of, all visitors would count as one.
        ("100.64.0.2", ["203.0.113.9, 198.51.100.7"], None, "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7"], None, "198.51.100.7"),
        ("10.0.0.1", [], None, "10.0.0.1"),
        ("8.8.8.8", ["198.51.100.7"], None, "8.8.8.8"),
        (None, ["198.51.100.7"], None, "198.51.100.7"),
        ("192.0.2.1", [], 0, "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], 0, "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], 1, "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], 1, "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], 2, "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7"], 1, "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7"], 2, "10.0.0.1"),
        ("10.0.0.1", [], 1, "10.0.0.1"),
        ("10.0.0.1", ["unknown"], 1, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, "], 1, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:5123"], 1, "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::7]:5123"], 1, "2001:db8::/64"),
        ("2001:db8:1:2:3:4:5:6", [], 0, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", [], 0, "2001:db8:1:2::/64"),
        ("fe80::1%eth0", [], 0, "fe80::/64"),
        ("::ffff:192.0.2.1", [], 0, "192.0.2.1"),
        (None, [], 0, "unknown"),
        ("", [], 0, "unknown"),
    ],
)
def test_the_address_is_what_the_outermost_trusted_proxy_saw(
    peer: str | None, forwarded: list[str], proxies: int | None, address: str
) -> None:
    assert client_address(scope_of(peer, *forwarded), proxies) == address
