"""Partitions cover every time from the first to the last once, whatever was made before."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations.partitions import INTERVALS, Partition, interval_around, missing_partitions

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zoned by `timezones`


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("year", datetime(2028, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)),
        ("month", datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        ("week", datetime(2028, 2, 28, tzinfo=UTC), datetime(2028, 3, 6, tzinfo=UTC)),
    ],
)
def test_an_interval_is_a_whole_year_month_or_week(interval: str, start: datetime, end: datetime) -> None:
    assert interval_around(interval, datetime(2028, 2, 29, 23, 59, tzinfo=UTC)) == (start, end)


@given(first=TIMES, days=st.lists(st.integers(0, 800), min_size=2, max_size=5), intervals=st.data())
def test_whatever_the_interval_was_before_every_time_has_one_partition(
    first: datetime, days: list[int], intervals: st.DataObject
) -> None:
    present: list[Partition] = []
    for ago in days:
        interval = intervals.draw(st.sampled_from(INTERVALS))
        start, last = first - timedelta(days=ago), first + timedelta(days=45 + ago % 7)
        present += missing_partitions(present, interval, start, last)
    present.sort(key=lambda partition: partition.start)
    starts, ends = [each.start for each in present], [each.end for each in present]
    assert starts[1:] == ends[:-1]
    assert starts[0] <= first - timedelta(days=max(days))
    assert ends[-1] > first + timedelta(days=45)
    assert len({each.name for each in present}) == len(present)


def test_a_shorter_interval_begins_where_the_last_long_partition_ends() -> None:
    old = Partition("events_2026", *interval_around("year", datetime(2026, 5, 5, tzinfo=UTC)))
    made = [*missing_partitions([old], "week", datetime(2026, 2, 1, tzinfo=UTC), datetime(2027, 1, 8, tzinfo=UTC))]
    assert [each.name for each in made] == ["events_2027_01_01", "events_2027_01_04"]
    assert made[0].end == datetime(2027, 1, 4, tzinfo=UTC)
