"""What `from`, `to` and `tz` mean."""

from datetime import UTC, datetime, timedelta

import pytest

from app.query.spec import MAX_DAYS, Period, period_before, read_period
from app.query.zones import list_days
from tenants.errors import InputRefused

NOW = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)


def read(from_text: str | None = None, to_text: str | None = None, tz: str | None = None) -> Period:
    return read_period(from_text, to_text, tz, client_zone="Europe/Berlin", now=NOW)


def bounds(period: Period) -> tuple[str, str]:
    return period.from_at.isoformat(), period.to_at.isoformat()


def test_without_parameters_it_is_thirty_days_including_today_in_the_clients_zone() -> None:
    period = read()
    # In Berlin it is already the 22nd, and on 25 October the clocks went back.
    assert bounds(period) == ("2026-10-23T22:00:00+00:00", "2026-11-22T23:00:00+00:00")
    assert len(list_days(period.from_at, period.to_at, period.zone)) == 30


def test_the_period_before_has_as_many_days_although_clocks_change() -> None:
    week = read("2026-03-29", "2026-04-04")
    assert bounds(period_before(week)) == ("2026-03-21T23:00:00+00:00", "2026-03-28T23:00:00+00:00")
    assert period_before(week).to_at == week.from_at


def test_the_period_before_one_that_cuts_days_is_as_long() -> None:
    hours = read("2026-03-29T00:30:00Z", "2026-03-29T10:00:00Z")
    assert bounds(period_before(hours)) == ("2026-03-28T15:00:00+00:00", "2026-03-29T00:30:00+00:00")


def test_dates_are_days_of_the_zone_and_the_last_is_included() -> None:
    assert bounds(read("2026-11-01", "2026-11-01")) == ("2026-10-31T23:00:00+00:00", "2026-11-01T23:00:00+00:00")


def test_another_zone_can_be_asked_for() -> None:
    period = read("2026-11-01", "2026-11-01", "Asia/Kathmandu")
    assert bounds(period) == ("2026-10-31T18:15:00+00:00", "2026-11-01T18:15:00+00:00")


@pytest.mark.parametrize(
    "text",
    ["2026-11-01T10:00:00Z", "2026-11-01t12:00:00.000+02:00", "2026-11-01T12:00:00 02:00", "2026-11-01T05:00:00-05:00"],
)
def test_times_are_taken_as_they_are(text: str) -> None:
    assert read(text, "2026-11-01T11:00:00Z").from_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert read("2026-11-01T09:00:00Z", text).to_at == datetime(2026, 11, 1, 10, tzinfo=UTC)


def test_without_a_start_it_covers_thirty_days_up_to_the_end() -> None:
    assert bounds(read(to_text="2026-06-30", tz="UTC"))[0] == "2026-06-01T00:00:00+00:00"
    assert bounds(read(to_text="2026-06-30T00:00:00Z", tz="UTC"))[0] == "2026-05-31T00:00:00+00:00"


def test_without_an_end_it_goes_on_until_the_end_of_today() -> None:
    assert bounds(read("2026-11-20", tz="UTC"))[1] == "2026-11-22T00:00:00+00:00"


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026-13-01", "2026-02-30", "20261101", "2026-11-01T10:00:00", "2026-11-01 10:00:00Z",
        "2026-11-01T25:00:00Z", "2026-11-01T10:00Z", "2026-11-01T10:00:00+99:00", "0001-01-01", "9999-12-31",
        "1969-12-31", "2026-W10-1", "٢٠٢٦-11-01", "2026-11-01T10:00:00Z\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["from", "to"])
def test_what_is_no_time_is_refused_by_its_name(text: str, field: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        read(**{f"{field}_text": text})
    assert (refusal.value.field, refusal.value.code) == (field, "invalid_time")


@pytest.mark.parametrize(
    ("from_text", "to_text"),
    [
        ("2026-11-02", "2026-11-01"),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2027-01-01", None),
        ("2010-01-01", "2026-01-01"),
    ],
)
def test_a_period_that_is_empty_or_endless_is_refused(from_text: str, to_text: str | None) -> None:
    with pytest.raises(InputRefused) as refusal:
        read(from_text, to_text)
    assert (refusal.value.field, refusal.value.code) == ("from", "invalid_period")


def test_the_longest_period_is_taken() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=MAX_DAYS)
    assert read(start.isoformat(), end.isoformat()).to_at == end


def test_an_unknown_zone_is_refused_by_its_name() -> None:
    with pytest.raises(InputRefused) as refusal:
        read(tz="Europe/Atlantis")
    assert refusal.value.field == "tz"
