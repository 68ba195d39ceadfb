"""Days and clock changes of zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.query.zones import day_start, get_zone, list_days, list_shifts
from tenants.errors import InputRefused

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 5, 1), 24)])
def test_a_day_lasts_until_the_next_begins(day: date, hours: int) -> None:
    assert day_start(day + timedelta(days=1), BERLIN) - day_start(day, BERLIN) == timedelta(hours=hours)


def test_a_day_without_midnight_begins_after_the_gap() -> None:
    assert day_start(date(2018, 11, 4), ZoneInfo("America/Sao_Paulo")) == at("2018-11-04T01:00-02:00")


def test_a_day_with_two_midnights_begins_with_the_first() -> None:
    assert day_start(date(2026, 11, 1), ZoneInfo("America/Havana")) == at("2026-11-01T00:00-04:00")


def test_a_day_that_a_zone_left_out_is_not_listed() -> None:
    days = list_days(at("2011-12-29T12:00-10:00"), at("2011-12-31T12:00+14:00"), ZoneInfo("Pacific/Apia"))
    assert [day for day, _ in days] == [date(2011, 12, 29), date(2011, 12, 31)]


def test_a_period_that_ends_at_midnight_does_not_touch_the_next_day() -> None:
    days = list_days(at("2026-05-01T10:00+02:00"), at("2026-05-03T00:00+02:00"), BERLIN)
    assert days == [
        (date(2026, 5, 1), at("2026-05-01T00:00+02:00")),
        (date(2026, 5, 2), at("2026-05-02T00:00+02:00")),
    ]


def test_a_year_has_three_shifts_where_clocks_change_twice() -> None:
    assert list_shifts(at("2026-01-01T00:00+01:00"), at("2027-01-01T00:00+01:00"), BERLIN) == [
        (at("2025-12-31T23:00Z"), timedelta(hours=1)),
        (at("2026-03-29T01:00Z"), timedelta(hours=2)),
        (at("2026-10-25T01:00Z"), timedelta(hours=1)),
    ]


@pytest.mark.parametrize("offset_us", [-1, 0, 1, 1_000_000, -1_000_000])
def test_a_period_that_starts_about_a_change_finds_it(offset_us: int) -> None:
    changed_at = at("2026-10-25T01:00Z")
    from_at = changed_at + timedelta(microseconds=offset_us)
    shifts = list_shifts(from_at, changed_at + timedelta(hours=5), BERLIN)
    before = [(from_at, timedelta(hours=2)), (changed_at, timedelta(hours=1))]
    assert shifts == (before if offset_us < 0 else [(from_at, timedelta(hours=1))])


def test_half_an_hour_is_a_shift_too() -> None:
    shifts = list_shifts(at("2026-04-04T00:00Z"), at("2026-04-05T00:00Z"), ZoneInfo("Australia/Lord_Howe"))
    assert [shift for _, shift in shifts] == [timedelta(hours=11), timedelta(hours=10, minutes=30)]


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../UTC", "Europe", "europe/berlin", "posixrules", "UTC\0", "x" * 999]
)
def test_a_zone_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        get_zone(name, field="tz")
    assert (refusal.value.field, refusal.value.code) == ("tz", "unknown_timezone")
