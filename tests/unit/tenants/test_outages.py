"""When to come back to a database that is away, with time passed in."""

import pytest

from tenants.outages import FORGOTTEN_S, MOST_RETRY_AFTER_S, Outages

TIMES = [100.0]


@pytest.fixture
def outages() -> Outages:
    """Outages by a clock that stands still."""
    TIMES[:] = [100.0]
    return Outages(lambda: TIMES[0])


def test_what_was_away_for_a_while_is_expected_to_be_away_for_as_long_again(outages: Outages) -> None:
    told = []
    for at in (100.0, 100.2, 107.5, 100.0 + MOST_RETRY_AFTER_S * 1.5):
        TIMES[0] = at
        told.append(outages.note_away("maple"))
    assert told == [1, 1, 8, MOST_RETRY_AFTER_S]


def test_an_outage_ends_with_what_goes_through_and_is_nobody_elses(outages: Outages) -> None:
    outages.note_away("maple")
    TIMES[0] += 30
    assert outages.note_away("birch") == 1
    assert outages.note_away("maple") == 30
    outages.note_there("maple")
    assert outages.note_away("maple") == 1


def test_a_failure_of_long_ago_says_nothing_of_the_time_since(outages: Outages) -> None:
    outages.note_away("maple")
    TIMES[0] += FORGOTTEN_S + 1
    assert outages.note_away("maple") == 1
