"""The paths about web events: the key decides whose they are; `app.query.web` does the work."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from litestar import Request, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg
from msgspec import Meta, Struct, field, to_builtins

from app.api.analytics import From, To, Tz, require_single_parameters
from app.query.spec import Period, read_period
from app.query.web import WebAnalyst
from app.query.web_answers import RealtimeAnswer, SummaryAnswer, WebFunnelAnswer, make_summary
from tenants.clock import Clock
from tenants.placement import TenantContext

MOST_PAGES = 10
_NOW = datetime(2026, 11, 4, 9, tzinfo=UTC)
_PERIOD = Period(from_at=_NOW - timedelta(days=1), to_at=_NOW, zone=ZoneInfo("Europe/Berlin"))
_DAY = {"day": _PERIOD.from_at.date(), "events": 5200, "page_views": 3100, "visitors": 790}
_PAGE = {"page": "/pricing", "views": 410, "visitors": 302}
_TOTALS = {"events": 5200, "page_views": 3100, "visitors": 790, "sessions": 910}
_FUNNEL = WebFunnelAnswer.of(("product_view", "add_to_cart", "purchase"), (640, 150, 41))

Step = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]


class FunnelQuestion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names of events in the order in which a visitor is to do them; a period as `from` and `to` of other paths."""

    steps: Annotated[list[Step], Meta(min_length=2, max_length=10, examples=[["product_view", "purchase"]])]
    from_text: Annotated[str | None, Meta(description="A date or an RFC 3339 time.")] = field(default=None, name="from")
    to_text: Annotated[str | None, Meta(description="A date or an RFC 3339 time.")] = field(default=None, name="to")


FUNNEL_QUESTION = FunnelQuestion(steps=["product_view", "add_to_cart", "purchase"], from_text="2026-11-01")


def _answers(kind: type[Any], example: Any) -> dict[int, ResponseSpec]:
    examples = [Example(value=to_builtins(example))]
    return {200: ResponseSpec(data_container=kind, description="The answer", examples=examples)}


def provide_period(
    request: Request[Any, Any, Any],
    own: NamedDependency[TenantContext],
    clock: NamedDependency[Clock],
    from_text: From = None,
    to_text: To = None,
    tz: Tz = None,
) -> Period:
    """Resolve `from`, `to` and `tz`.

    Errors: InputRefused.
    """
    require_single_parameters(request)
    return read_period(from_text, to_text, tz, client_zone=own.timezone, now=clock())


@get(
    "/summary",
    summary="Sum up web events",
    description="Events, page views, visitors and sessions of a period, per day of the zone, and the ten "
    "pages with the most views. All figures are exact and hold every event that was acknowledged.",
    dependencies={"period": Provide(provide_period, sync_to_thread=False)},
    responses=_answers(SummaryAnswer, make_summary(_PERIOD, _TOTALS, [_DAY], [_PAGE])),
)
async def read_summary(
    own: NamedDependency[TenantContext], period: NamedDependency[Period], web: NamedDependency[WebAnalyst]
) -> SummaryAnswer:
    """Answer with the summary."""
    return make_summary(period, *await web.summary(own, period, most=MOST_PAGES))


@get(
    "/realtime",
    summary="Count who is there now",
    description="Different visitors with an event in the last five minutes.",
    responses=_answers(RealtimeAnswer, RealtimeAnswer(at=_NOW, visitors=12)),
)
async def read_realtime(
    own: NamedDependency[TenantContext], clock: NamedDependency[Clock], web: NamedDependency[WebAnalyst]
) -> RealtimeAnswer:
    """Answer with the visitors of the last minutes."""
    now = clock()
    return RealtimeAnswer(at=now, visitors=await web.active(own, now))


@post(
    "/funnel/analyze",
    status_code=200,
    summary="Count how far visitors got",
    description="How many visitors did each step after the one before, in a period of 30 days where none is given.",
    responses=_answers(WebFunnelAnswer, _FUNNEL),
)
async def analyze_funnel(
    own: NamedDependency[TenantContext],
    clock: NamedDependency[Clock],
    web: NamedDependency[WebAnalyst],
    data: Annotated[FunnelQuestion, BodyKwarg(description="The steps.")],
) -> WebFunnelAnswer:
    """Answer with the funnel."""
    period = read_period(data.from_text, data.to_text, None, client_zone=own.timezone, now=clock())
    reached = await web.funnel(own, period.from_at, period.to_at, steps=data.steps)
    return WebFunnelAnswer.of(data.steps, reached)


handlers = [
    Router(
        path="/api/v1/analytics",
        route_handlers=[read_summary, read_realtime, analyze_funnel],
        tags=["Web analytics"],
    )
]
