"""How pauses grow, and what they are counted for."""

from datetime import timedelta

import pytest

from app.auth.devices import known_device, make_device
from app.auth.forms import is_cross_site, is_own_form, new_nonce, sign_form
from app.auth.throttle import ACCOUNT, ACCOUNT_FROM_ADDRESS, ADDRESS, DEVICE, Rule, Throttle
from tenants.vault import Vault

VAULT = Vault("a secret key of these tests, long enough")
OTHER = Vault("another secret key of these tests, as long")


def test_the_first_failures_are_free_and_then_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    rule = Rule(2, timedelta(seconds=1), timedelta(seconds=10), timedelta(hours=1))
    pauses = [rule.pause(failures).total_seconds() for failures in range(8)]
    assert pauses == [0, 0, 1, 2, 4, 8, 10, 10]
    assert rule.pause(10**9) == timedelta(seconds=10)


def test_an_account_alone_is_never_a_reason_to_refuse() -> None:
    counts = Throttle(VAULT).login_counts("maple", "ana@maple.example", "192.0.2.1", None)
    assert [(count.rule, count.soft) for count in counts] == [
        (ACCOUNT_FROM_ADDRESS, False),
        (ADDRESS, False),
        (ACCOUNT, True),
    ]
    assert ACCOUNT.longest <= timedelta(seconds=2)


def test_a_known_browser_shares_no_count_with_strangers() -> None:
    throttle = Throttle(VAULT)
    known = throttle.login_counts("maple", "ana@maple.example", "192.0.2.1", "nonce")
    strange = throttle.login_counts("maple", "ana@maple.example", "192.0.2.1", None)
    assert [count.rule for count in known] == [DEVICE]
    assert not {count.bucket for count in known} & {count.bucket for count in strange}


def test_counts_are_apart_for_clients_accounts_and_addresses() -> None:
    throttle = Throttle(VAULT)
    pairs = {
        throttle.login_counts(client, email, address, None)[0].bucket
        for client in ("maple", "birch")
        for email in ("ana@x.example", "ben@x.example")
        for address in ("192.0.2.1", "192.0.2.2")
    }
    assert len(pairs) == 8


def test_what_is_counted_cannot_be_read_from_the_count() -> None:
    bucket = Throttle(VAULT).login_counts("maple", "ana@maple.example", "192.0.2.1", None)[0].bucket
    assert len(bucket) == 32
    assert bucket != Throttle(OTHER).login_counts("maple", "ana@maple.example", "192.0.2.1", None)[0].bucket


def test_a_browser_is_known_to_the_account_and_password_that_it_logged_in_with() -> None:
    cookie = make_device(VAULT, "maple", "ana@maple.example", "hash")
    assert known_device(VAULT, "maple", "ana@maple.example", "hash", cookie) == cookie.split(".")[0]
    for client, email, stored in [
        ("birch", "ana@maple.example", "hash"),
        ("maple", "ben@maple.example", "hash"),
        ("maple", "ana@maple.example", "new hash"),
        ("maple", "ana@maple.example", None),
    ]:
        assert known_device(VAULT, client, email, stored, cookie) is None
    assert known_device(OTHER, "maple", "ana@maple.example", "hash", cookie) is None


@pytest.mark.parametrize("cookie", [None, "", ".", "nonce", "nonce.", "nonce.code", "ü.ü", "a.b.c"])
def test_a_made_up_browser_is_not_known(cookie: str | None) -> None:
    assert known_device(VAULT, "maple", "ana@maple.example", "hash", cookie) is None


def test_a_form_is_ours_with_its_own_cookie_at_its_own_client() -> None:
    nonce = new_nonce()
    signed = sign_form(VAULT, "maple", nonce)
    assert is_own_form(VAULT, "maple", nonce, signed)
    assert not is_own_form(VAULT, "birch", nonce, signed)
    assert not is_own_form(VAULT, "maple", new_nonce(), signed)
    assert not is_own_form(VAULT, "maple", None, signed)
    assert not is_own_form(OTHER, "maple", nonce, signed)
    assert not is_own_form(VAULT, "maple", nonce, "")
    assert not is_own_form(VAULT, "maple", "", sign_form(VAULT, "maple", ""))


@pytest.mark.parametrize(
    ("sent", "cross"),
    [(None, False), ("same-origin", False), ("none", False), ("same-site", True), ("cross-site", True), ("x", True)],
)
def test_what_the_browser_says_about_the_sender_is_heard(sent: str | None, cross: bool) -> None:  # noqa: FBT001
    assert is_cross_site({} if sent is None else {"sec-fetch-site": sent}) is cross
