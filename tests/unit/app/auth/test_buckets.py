"""What a process knows of a limit, with time passed in."""

import pytest

from app.auth.buckets import LEASE_S, Bucket, Rule, rules_of
from tenants.allowances import UNLIMITED, Allowance

RATE = Rule(name="client", subject="maple", capacity=1000, per_s=100)
QUOTA = Rule(name="client-month", subject="maple", capacity=10_000)


def test_an_allowance_is_a_rate_and_a_quota() -> None:
    assert rules_of("maple", "client", UNLIMITED) == []
    assert rules_of("maple", "client", Allowance(rate=100, quota=10_000)) == [RATE, QUOTA]
    (small,) = rules_of("maple", "client", Allowance(rate=100, burst=5))
    assert (small.capacity, small.leases, small.window_s) == (5, False, 1)


def test_leased_tokens_can_be_spent_for_as_long_as_the_lease_lasts() -> None:
    bucket = Bucket(RATE)
    bucket.note(9, 990.0, 5.0, "2026-11")
    assert bucket.usable(5.0 + LEASE_S / 2, "2026-11") == 9
    bucket.spend(4)
    assert bucket.usable(5.0 + LEASE_S / 2, "2026-11") == 5
    assert bucket.usable(5.1 + LEASE_S, "2026-11") == 0
    bucket.give_back(2)
    assert bucket.offered(5.1, "2026-11") == 7
    bucket.let_go()
    assert (bucket.offered(5.1, "2026-11"), bucket.held) == (0, 0)


def test_a_quotas_tokens_end_with_the_month_and_are_not_given_back_to_the_next() -> None:
    bucket = Bucket(QUOTA)
    bucket.note(50, 9_000.0, 5.0, "2026-11")
    assert bucket.usable(500.0, "2026-11") == 50
    assert bucket.usable(500.0, "2026-12") == 0
    assert bucket.offered(5.1, "2026-12") == 0


def test_blocks_get_smaller_as_a_quota_runs_out() -> None:
    bucket = Bucket(QUOTA)
    wanted = []
    for left in (10_000.0, 1_000.0, 10.0):
        bucket.note(0, left, 0.0, "2026-11")
        wanted.append(bucket.wanted(1))
    assert wanted == [50, 5, 1]


def test_what_is_used_up_is_known_until_it_is_refilled() -> None:
    bucket = Bucket(RATE)
    assert bucket.missing_s(5, 0.0) == 0.0
    bucket.note(0, 0.5, 10.0, "2026-11")
    assert bucket.missing_s(5, 10.0) == pytest.approx(0.045)
    assert bucket.missing_s(5, 10.1) == 0.0
    assert bucket.remaining(11.0) == 100


def test_without_the_store_a_process_keeps_to_its_share_of_what_was_left() -> None:
    bucket = Bucket(RATE, processes=4)
    bucket.note(0, 100.0, 0.0, "2026-11")
    taken = 0
    while bucket.wait_locally(10, 0.0) == 0:
        bucket.take_locally(10)
        taken += 10
    assert taken == 20
    assert bucket.wait_locally(10, 0.0) == pytest.approx(0.2)
    assert bucket.wait_locally(10, 0.2) == pytest.approx(0.0)


def test_what_was_let_through_alone_is_told_but_for_what_was_refilled_since() -> None:
    bucket = Bucket(RATE, processes=4)
    bucket.note(0, 100.0, 0.0, "2026-11")
    for second in range(100):
        assert bucket.wait_locally(20, float(second)) == 0
        bucket.take_locally(20)
    assert bucket.most(99.0) == pytest.approx(RATE.capacity - 4 * 20)
    assert bucket.offered(99.0, "2026-11") == -20
    bucket.let_go()
    assert bucket.offered(99.4, "2026-11") == -10, "nobody knows yet whether it arrived"
    assert bucket.offered(100.0, "2026-11") == 0
    bucket.note(0, 100.0, 100.0, "2026-11")
    assert bucket.offered(100.0, "2026-11") == 0


def test_of_what_was_let_through_alone_no_more_is_told_than_a_share_holds_and_gets_in_a_second() -> None:
    bucket = Bucket(RATE, processes=4)
    bucket.note(0, 100.0, 0.0, "2026-11")
    for second in range(1, 100):
        assert bucket.wait_locally(25, float(second)) == 0
        bucket.take_locally(25)
    assert bucket.offered(99.0, "2026-11") == -50


def test_without_the_store_more_than_a_share_ever_holds_passes_when_it_is_full_and_is_paid_off() -> None:
    bucket = Bucket(RATE, processes=4)
    assert bucket.wait_locally(1000, 0.0) == 0
    bucket.take_locally(1000)
    assert bucket.wait_locally(1, 0.0) == pytest.approx(751 / 25)
    assert bucket.wait_locally(1000, 0.0) == pytest.approx(1000 / 25)
    assert bucket.wait_locally(1000, 40.0) == 0
