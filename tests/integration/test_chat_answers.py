"""Every answer about chatbots equals a slow recount, in every placement, for any rows, period and zone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.embedded.postgres import EmbeddedPostgres
from app.query.answers import StepCounts
from app.query.results import COUNTS, make_session
from app.query.run import Analyst
from app.query.spec import Period, Position, read_period
from tenants.placement import PlacementKind
from tests.support.desks import Desk, open_desk
from tests.support.pools import open_databases
from tests.support.recount import ChatSession, Lead, Recount

# A zone, and an instant at which its clocks change (or, for those whose clocks never do, any).
ANCHORS = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 6, 30, 18, 15, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("UTC", datetime(2026, 2, 28, tzinfo=UTC)),
]
STEP_NAMES = (
    "page_loaded", "widget_opened", "requested_human", "pressed_accept", "pressed_callback", "pressed_continue",
)  # fmt: skip
FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", params=list(PlacementKind), ids=str)
async def desk(request: pytest.FixtureRequest, postgres: EmbeddedPostgres) -> AsyncIterator[Desk]:
    opened = await open_desk(postgres.url, request.param)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def analyst() -> AsyncIterator[Analyst]:
    async with open_databases() as databases:
        yield Analyst(databases)


class Case(NamedTuple):
    """Random rows, and a random period and zone to ask for."""

    sessions: list[ChatSession]
    leads: list[Lead]
    period: Period


@st.composite
def cases(draw: st.DrawFn) -> Case:
    name, anchor = draw(st.sampled_from(ANCHORS))
    zone = ZoneInfo(name)
    period = draw(periods(zone, anchor))
    near = st.timedeltas(min_value=timedelta(hours=-3), max_value=timedelta(hours=3))
    far = st.timedeltas(min_value=timedelta(days=-8), max_value=timedelta(days=8))
    edges = [timedelta(), timedelta(microseconds=-1), period.from_at - anchor, period.to_at - anchor]
    times = st.one_of(near, far, st.sampled_from(edges)).map(anchor.__add__)
    numbers = draw(st.lists(st.integers(1, 10**12), max_size=25, unique=True))
    sessions = [
        ChatSession(str(number), tuple(draw(st.tuples(*[st.none() | times] * 6))), draw(times)) for number in numbers
    ]
    ids = st.sampled_from([str(number) for number in numbers] or ["7"]) | st.just("0")
    leads = st.builds(Lead, ids, st.sampled_from([None, "", " ", "form", "widget", "ü"]), times)
    return Case(sessions, draw(st.lists(leads, max_size=15)), period)


@st.composite
def periods(draw: st.DrawFn, zone: ZoneInfo, anchor: datetime) -> Period:
    start = anchor + draw(st.timedeltas(min_value=timedelta(days=-5), max_value=timedelta(days=2)))
    end = start + draw(st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=6)))
    if draw(st.booleans()):
        texts = (start.astimezone(zone).date().isoformat(), end.astimezone(zone).date().isoformat())
    else:
        texts = (start.isoformat(), end.isoformat())
    return read_period(*texts, zone.key, client_zone="UTC", now=anchor)


async def recount(desk: Desk, case: Case) -> Recount:
    sessions, leads = await desk.fill(case.sessions, case.leads)
    return Recount(sessions, leads, case.period.from_at, case.period.to_at, case.period.zone)


def counts_of(answer: StepCounts) -> dict[str, int]:
    return {name: getattr(answer, name) for name in COUNTS}


@FAST
@given(case=cases())
async def test_the_funnel_equals_a_recount(desk: Desk, analyst: Analyst, case: Case) -> None:
    expected = (await recount(desk, case)).totals()
    answer = await analyst.funnel(desk.client, case.period)
    assert answer.sessions == expected["sessions"]
    assert [step.count for step in answer.steps] == [expected[name] for name in COUNTS[1:]]


@FAST
@given(case=cases())
async def test_every_day_equals_a_recount(desk: Desk, analyst: Analyst, case: Case) -> None:
    expected = (await recount(desk, case)).daily()
    answer = await analyst.daily(desk.client, case.period)
    assert [(day.date, counts_of(day)) for day in answer.days] == expected


@FAST
@given(case=cases())
async def test_every_hour_of_day_equals_a_recount(desk: Desk, analyst: Analyst, case: Case) -> None:
    expected = (await recount(desk, case)).hourly()
    answer = await analyst.hourly(desk.client, case.period)
    assert [counts_of(hour) for hour in answer.hours] == expected
    sessions = [hour["sessions"] for hour in expected]
    assert answer.peak_hour == (sessions.index(max(sessions)) if any(sessions) else None)


@FAST
@given(case=cases())
async def test_the_leads_equal_a_recount(desk: Desk, analyst: Analyst, case: Case) -> None:
    expected = await recount(desk, case)
    answer = await analyst.leads(desk.client, case.period)
    assert answer.leads == len(expected.leads)
    assert [(day.date, day.leads) for day in answer.days] == expected.leads_daily()
    assert {source.source: source.leads for source in answer.sources} == dict(expected.leads_by_source())
    assert (answer.sessions, answer.converted_sessions) == (len(expected.started), expected.converted())


@FAST
@given(case=cases(), limit=st.integers(1, 7))
async def test_pages_of_sessions_put_together_equal_a_recount(
    desk: Desk, analyst: Analyst, case: Case, limit: int
) -> None:
    expected = (await recount(desk, case)).listed()
    listed, after = [], None
    for _ in range(len(expected) // limit + 1):
        rows = await analyst.sessions(desk.client, case.period, after=after, limit=limit)
        listed += [make_session(row) for row in rows]
        after = Position(rows[-1]["started_at"], rows[-1]["session_id"]) if rows else after
    assert [(row.session_id, *(getattr(row, step) for step in STEP_NAMES)) for row in listed] == [
        (session.session_id, *session.times) for session in expected
    ]
    assert [row.duration_s for row in listed] == [
        (max(session.updated_at, *filter(None, session.times)) - row.started_at).total_seconds()
        for session, row in zip(expected, listed, strict=True)
    ]
