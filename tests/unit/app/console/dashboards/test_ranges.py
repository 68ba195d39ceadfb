"""Bounds of a dashboard as Grafana writes them, in zones whose clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.console.dashboards.ranges import PRESETS, read_range
from app.query.spec import read_period
from tenants.errors import InputRefused

BERLIN = ZoneInfo("Europe/Berlin")
# A Saturday; on the Sunday after, 2026-10-25, Berlin's clocks go back.
NOW = datetime(2026, 10, 31, 12, 30, tzinfo=UTC)


def bounds(from_text: str, to_text: str) -> tuple[str, str]:
    period = read_range(from_text, to_text, zone=BERLIN, now=NOW)
    return period.from_at.isoformat(), period.to_at.isoformat()


@pytest.mark.parametrize(
    ("from_text", "to_text", "expected"),
    [
        ("now-24h", "now", ("2026-10-30T12:30:00+00:00", "2026-10-31T12:30:00+00:00")),
        ("now-7d", "now", ("2026-10-24T11:30:00+00:00", "2026-10-31T12:30:00+00:00")),
        ("now/d", "now/d", ("2026-10-30T23:00:00+00:00", "2026-10-31T23:00:00+00:00")),
        ("now-6d/d", "now-6d/d", ("2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00")),
        ("now/w", "now/w", ("2026-10-25T23:00:00+00:00", "2026-11-01T23:00:00+00:00")),
        ("now-1M/M", "now-1M/M", ("2026-08-31T22:00:00+00:00", "2026-09-30T22:00:00+00:00")),
        ("now/y", "now/h", ("2025-12-31T23:00:00+00:00", "2026-10-31T13:00:00+00:00")),
        ("2026-10-25", "2026-10-25", ("2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00")),
        ("2026-10-25", "now", ("2026-10-24T22:00:00+00:00", "2026-10-31T12:30:00+00:00")),
        ("1792926000000", "2026-10-31T00:00:00Z", ("2026-10-25T11:00:00+00:00", "2026-10-31T00:00:00+00:00")),
    ],
)
def test_bounds_are_resolved_in_the_zone(from_text: str, to_text: str, expected: tuple[str, str]) -> None:
    assert bounds(from_text, to_text) == expected


def test_a_month_that_is_too_short_gives_its_last_day() -> None:
    assert bounds("now-8M", "now-8M/M")[0] == "2026-02-28T12:30:00+00:00"


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset[2])
def test_every_preset_is_a_period(preset: tuple[str, str, str]) -> None:
    assert bounds(*preset[:2])


def test_the_last_thirty_days_begin_where_the_apis_do() -> None:
    (preset,) = [preset for preset in PRESETS if preset[2] == "Last 30 days"]
    default = read_period(None, None, None, client_zone=BERLIN.key, now=NOW)
    assert bounds(*preset[:2])[0] == default.from_at.isoformat()


@pytest.mark.parametrize(
    ("from_text", "to_text"),
    [
        ("yesterday", "now"), ("now", "now"), ("now", "now-1h"), ("now-20y", "now"), ("now-99999y", "now"),
        ("now-1d", "now+99999y"), ("99999999999999", "now"), ("now-1d'", "now"), ("now-1d/d/d", "now"),
    ],
)  # fmt: skip
def test_what_is_no_period_is_refused(from_text: str, to_text: str) -> None:
    with pytest.raises(InputRefused):
        bounds(from_text, to_text)
