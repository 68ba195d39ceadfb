"""How much a client sends decides how long its partitions are."""

import pytest

from app.workers.partitions import fitting_interval


@pytest.mark.parametrize(
    ("interval", "events_per_day", "fitting"),
    [
        ("year", 0, "year"),
        ("year", 27_000, "year"),
        ("year", 28_000, "month"),
        ("year", 400_000, "week"),
        ("year", 50_000_000, "week"),
        ("month", 10, "month"),
        ("month", 400_000, "week"),
        ("week", 10, "week"),
    ],
)
def test_an_interval_only_becomes_shorter(interval: str, events_per_day: float, fitting: str) -> None:
    assert fitting_interval(interval, events_per_day) == fitting
