"""Answers made of rows."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from app.query.results import (
    COUNTS,
    make_daily,
    make_funnel,
    make_hourly,
    make_leads,
    make_session,
    make_tables,
    percent,
)
from app.query.spec import Period
from tenants.relations import OWN_SHAPE
from tenants.sources import SourceShape

START = datetime(2026, 11, 1, tzinfo=UTC)
PERIOD = Period(from_at=START, to_at=START + timedelta(days=2), zone=ZoneInfo("UTC"))
STEPS = ("page_loaded", "widget_opened", "requested_human", "pressed_accept", "pressed_callback", "pressed_continue")


def counts(*numbers: int) -> dict[str, int]:
    return dict(zip(COUNTS, numbers, strict=True))


def test_rates_are_percent_of_the_step_before_and_of_the_first() -> None:
    funnel = make_funnel("maple", PERIOD, counts(210, 200, 50, 30, 10, 5, 3))
    assert [(step.name, step.count, step.rate_of_previous, step.rate_of_first) for step in funnel.steps] == [
        ("pageLoads", 200, 100.0, 100.0),
        ("widgetOpens", 50, 25.0, 25.0),
        ("humanRequests", 30, 60.0, 15.0),
        ("accepts", 10, 33.33, 5.0),
        ("callbacks", 5, 16.67, 2.5),
        ("continues", 3, 10.0, 1.5),
    ]
    assert funnel.accept_vs_callback.accept_rate == 66.67
    assert funnel.accept_vs_callback.callback_rate == 33.33


def test_nothing_is_divided_by_nothing() -> None:
    funnel = make_funnel("maple", PERIOD, counts(0, 0, 0, 0, 0, 0, 0))
    assert {step.rate_of_previous for step in funnel.steps} | {step.rate_of_first for step in funnel.steps} == {0.0}
    assert funnel.accept_vs_callback.accept_rate == funnel.accept_vs_callback.callback_rate == 0.0


def test_a_rate_may_exceed_a_hundred_where_the_step_before_is_missing() -> None:
    assert percent(3, 2) == 150.0


def test_names_leave_in_camel_case() -> None:
    sent = msgspec.to_builtins(make_funnel("maple", PERIOD, counts(1, 1, 1, 1, 1, 1, 1)))
    assert list(sent) == ["clientId", "from", "to", "tz", "sessions", "steps", "acceptVsCallback"]
    assert (sent["clientId"], sent["from"], sent["tz"]) == ("maple", "2026-11-01T00:00:00Z", "UTC")


def test_every_day_is_there_and_those_without_rows_are_zero() -> None:
    days = make_daily("maple", PERIOD, [{"day": 2, **counts(4, 4, 3, 2, 1, 0, 0)}]).days
    assert [(day.date.isoformat(), day.sessions, day.widget_opens) for day in days] == [
        ("2026-11-01", 0, 0),
        ("2026-11-02", 4, 3),
    ]


def test_the_peak_is_the_earliest_of_equal_hours() -> None:
    rows = [{"hour": hour, **counts(5, 0, 0, 0, 0, 0, 0)} for hour in (17, 9)]
    hourly = make_hourly("maple", PERIOD, rows)
    assert len(hourly.hours) == 24
    assert hourly.peak_hour == 9


def test_without_sessions_there_is_no_peak() -> None:
    assert make_hourly("maple", PERIOD, []).peak_hour is None


def lead_rows(*, day: int, source: int) -> list[dict[str, Any]]:
    return [
        {"kind": "day", "day": 1, "source": None, "n": day},
        {"kind": "source", "day": None, "source": "form", "n": source},
        {"kind": "sessions", "day": None, "source": None, "n": 8},
        {"kind": "converted", "day": None, "source": None, "n": 2},
    ]


def test_leads_of_sources_that_are_not_listed_are_counted_together() -> None:
    answer = make_leads("maple", PERIOD, lead_rows(day=7, source=5), OWN_SHAPE)
    assert (answer.leads, answer.other_sources, answer.conversion_rate) == (7, 2, 25.0)
    assert (answer.available, answer.remark) == (True, None)


def test_absent_leads_are_zero_and_said_to_be_absent() -> None:
    shape = SourceShape(tables={"UserEvents": {}}, remarks={"Leads": ("was not found",)})
    rows = [row for row in lead_rows(day=0, source=0) if row["kind"] in {"sessions", "converted"}]
    answer = make_leads("maple", PERIOD, rows, shape)
    assert (answer.available, answer.remark, answer.leads) == (False, 'The table "Leads" was not found.', 0)
    assert [day.leads for day in answer.days] == [0, 0]


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ({"page_loaded"}, "loaded"),
        ({"page_loaded", "widget_opened"}, "opened"),
        ({"widget_opened", "requested_human"}, "requested"),
        ({"requested_human", "pressed_continue"}, "continued"),
        ({"pressed_continue", "pressed_callback"}, "callback"),
        ({"pressed_callback", "pressed_accept", "page_loaded"}, "accepted"),
    ],
)
def test_the_outcome_is_how_far_a_session_got(steps: set[str], outcome: str) -> None:
    times = {step: START if step in steps else None for step in STEPS}
    ended = START + timedelta(seconds=90)
    row = make_session({"session_id": "a", "started_at": START, "ended_at": ended, **times})
    assert (row.outcome, row.duration_s) == (outcome, 90.0)


def test_tables_that_were_not_counted_have_no_number_of_rows() -> None:
    shape = SourceShape(tables={"UserEvents": {}, "Leads": {}}, remarks={"ChatLog": ("was not found",)})
    checks = make_tables(
        shape, [{"table": "Leads", "n": 3, "newest": START}, {"table": "ChatLog", "n": 0, "newest": None}]
    )
    assert [(check.name, check.required, check.found, check.rows) for check in checks] == [
        ("UserEvents", True, True, None),
        ("Leads", False, True, 3),
        ("ChatLog", False, False, None),
        ("AgentConnection", False, False, None),
    ]
