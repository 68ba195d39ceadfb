"""The paths about web events: the key decides whose they are; `app.query.web` does the work."""

from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg
from msgspec import Meta, Struct, field, to_builtins

from app.api.analytics import PARAMETERS, From, To, Tz
from app.api.bodies import reading_body
from app.api.parameters import require_single_parameters
from app.api.web_examples import FUNNEL, REALTIME, SUMMARY
from app.query.spec import Period, read_period
from app.query.web import WebAnalyst
from app.query.web_answers import RealtimeAnswer, SummaryAnswer, WebFunnelAnswer
from tenants.clock import Clock
from tenants.placement import TenantContext

MOST = 10

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
    require_single_parameters(request, PARAMETERS)
    return read_period(from_text, to_text, tz, client_zone=own.timezone, now=clock())


@get(
    "/summary",
    summary="Sum up web events",
    description="Events, page views, visitors, sessions and orders of a period and of the one before it, per day of "
    "the zone; the ten pages with the most views; the ten channels, referring sites, countries, devices and browsers "
    "with the most sessions. Events that are flagged as a program's count like others. All figures are exact and hold "
    "every event that was acknowledged.",
    dependencies={"period": Provide(provide_period, sync_to_thread=False)},
    responses=_answers(SummaryAnswer, SUMMARY),
)
async def read_summary(
    own: NamedDependency[TenantContext], period: NamedDependency[Period], web: NamedDependency[WebAnalyst]
) -> SummaryAnswer:
    """Answer with the summary."""
    return (await web.summary(own, period, most=MOST)).answer()


@get(
    "/realtime",
    summary="Count who is there now",
    description="Different visitors with an event in the last five minutes; what happened within the last thirty, by "
    "the minute, and the ten pages, channels, referring sites, countries, devices and browsers with the most of it.",
    responses=_answers(RealtimeAnswer, REALTIME),
)
async def read_realtime(
    own: NamedDependency[TenantContext], clock: NamedDependency[Clock], web: NamedDependency[WebAnalyst]
) -> RealtimeAnswer:
    """Answer with what happened in the last minutes."""
    return (await web.recent(own, clock(), most=MOST)).answer()


@post(
    "/funnel/analyze",
    status_code=200,
    summary="Count how far visitors got",
    description="How many visitors did each step after the one before, in a period of 30 days where none is given.",
    responses=_answers(WebFunnelAnswer, FUNNEL),
)
async def analyze_funnel(
    own: NamedDependency[TenantContext],
    clock: NamedDependency[Clock],
    web: NamedDependency[WebAnalyst],
    data: Annotated[FunnelQuestion, BodyKwarg(description="The steps.")],
) -> WebFunnelAnswer:
    """Answer with the funnel."""
    with reading_body():
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
