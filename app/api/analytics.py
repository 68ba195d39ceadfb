"""The chatbot analytics paths: read the parameters, ask, answer.

Called with a client's own key; `app.query` does the work. `examples` of the answers are made by the same code.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from msgspec import Meta, to_builtins

from app.api.analytics_examples import EXAMPLES
from app.api.pages import DEFAULT_LIMIT, MAX_LIMIT, PageMeta, decode_cursor, page_of
from app.api.parameters import require_single_parameters
from app.query.answers import (
    CheckAnswer,
    DailyAnswer,
    FunnelAnswer,
    HourlyAnswer,
    LeadsAnswer,
    PeriodAnswer,
    SessionRow,
)
from app.query.results import describe_period, make_session
from app.query.run import Analyst
from app.query.spec import Period, Position, read_period
from tenants.clock import Clock
from tenants.placement import TenantContext

From = Annotated[
    str | None,
    QueryParameter(
        name="from",
        description="Start, inclusive: a date (a day in the zone) or an RFC 3339 time. Default: so that the period "
        "covers 30 days.",
        examples=[Example(value="2026-11-01"), Example(value="2026-11-01T09:00:00Z")],
    ),
]
To = Annotated[
    str | None,
    QueryParameter(
        name="to",
        description="End: a date, which is included, or an RFC 3339 time, which is not. Default: the end of today.",
        examples=[Example(value="2026-11-30"), Example(value="2026-12-01T00:00:00Z")],
    ),
]
Tz = Annotated[
    str | None,
    QueryParameter(
        name="tz",
        description="IANA zone whose days and hours are meant. Default: the client's zone.",
        examples=[Example(value="Europe/Berlin")],
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Sessions per page.")]
PARAMETERS = ("from", "to", "tz", "limit", "cursor")
Cursor = Annotated[str | None, QueryParameter(description="`meta.next` of the page before.")]


class SessionsAnswer(PeriodAnswer, frozen=True, kw_only=True):
    """One page of the sessions of a period, the latest first."""

    data: list[SessionRow]
    meta: Annotated[PageMeta, Meta(description="Where the list goes on.")]


def provide_period(
    request: Request[Any, Any, Any],
    client: NamedDependency[TenantContext],
    clock: NamedDependency[Clock],
    from_text: From = None,
    to_text: To = None,
    tz: Tz = None,
) -> Period:
    """Resolve `from`, `to` and `tz`.

    Errors: InputRefused.
    """
    require_single_parameters(request, PARAMETERS)
    return read_period(from_text, to_text, tz, client_zone=client.timezone, now=clock())


def _answers(kind: type[Any], name: str) -> dict[int, ResponseSpec]:
    example = Example(value=to_builtins(EXAMPLES[name]))
    return {200: ResponseSpec(data_container=kind, description="The answer", examples=[example])}


@get(
    "/funnel",
    summary="Count how far sessions got",
    description="Sessions that started in the period, and how many of them reached each step, with rates in percent. "
    "A session starts at its page load or, without one, at its first step; each step is counted for itself.",
    responses=_answers(FunnelAnswer, "funnel"),
)
async def read_funnel(
    client: NamedDependency[TenantContext], period: NamedDependency[Period], analyst: NamedDependency[Analyst]
) -> FunnelAnswer:
    """Answer with the funnel."""
    return await analyst.funnel(client, period)


@get(
    "/daily",
    summary="Count the steps per day",
    description="Every day of the period in the zone, with the sessions that started on it and how many of them "
    "reached each step. Days on which clocks change have 23 or 25 hours.",
    responses=_answers(DailyAnswer, "daily"),
)
async def read_daily(
    client: NamedDependency[TenantContext], period: NamedDependency[Period], analyst: NamedDependency[Analyst]
) -> DailyAnswer:
    """Answer with the days."""
    return await analyst.daily(client, period)


@get(
    "/hourly",
    summary="Count the steps per hour of day",
    description="The hours 0 to 23 in the zone, with the sessions that started in each on any day of the period, and "
    "the peak hour.",
    responses=_answers(HourlyAnswer, "hourly"),
)
async def read_hourly(
    client: NamedDependency[TenantContext], period: NamedDependency[Period], analyst: NamedDependency[Analyst]
) -> HourlyAnswer:
    """Answer with the hours."""
    return await analyst.hourly(client, period)


@get(
    "/leads",
    summary="Count the captured leads",
    description="Leads captured in the period, per day and by source, and how many of the period's sessions left one. "
    "Where the client's database keeps no leads, all of it is 0 and `available` is false.",
    responses=_answers(LeadsAnswer, "leads"),
)
async def read_leads(
    client: NamedDependency[TenantContext], period: NamedDependency[Period], analyst: NamedDependency[Analyst]
) -> LeadsAnswer:
    """Answer with the leads."""
    return await analyst.leads(client, period)


@get(
    "/sessions",
    summary="List sessions",
    description="The sessions that started in the period, the latest first, with the time of each step, duration and "
    "outcome.",
    responses=_answers(SessionsAnswer, "sessions"),
)
async def list_sessions(
    client: NamedDependency[TenantContext],
    period: NamedDependency[Period],
    analyst: NamedDependency[Analyst],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> SessionsAnswer:
    """Answer with one page."""
    after = decode_cursor(cursor, Position)
    rows = await analyst.sessions(client, period, after=after, limit=limit + 1)
    page = page_of(rows, limit, show=make_session, key=_position_of)
    return SessionsAnswer(**describe_period(client.tenant_id, period), data=page.data, meta=page.meta)


@get(
    "/test",
    summary="Check the data source",
    description="Whether the database that holds the client's chatbot data answers, how fast, which tables it has and "
    "how new they are. A database that is away is an answer here, not an error.",
    responses=_answers(CheckAnswer, "test"),
)
async def check_source(
    request: Request[Any, Any, Any], client: NamedDependency[TenantContext], analyst: NamedDependency[Analyst]
) -> CheckAnswer:
    """Answer with the findings."""
    require_single_parameters(request, PARAMETERS)
    return await analyst.check(client)


def _position_of(row: Mapping[str, Any]) -> Position:
    return Position(row["started_at"], row["session_id"])


handlers = [
    Router(
        path="/api/{client_id:str}",
        route_handlers=[read_funnel, read_daily, read_hourly, read_leads, list_sessions, check_source],
        dependencies={"period": Provide(provide_period, sync_to_thread=False)},
        tags=["Chatbot analytics"],
    )
]
