"""Answer a panel: take its template, render it for the client, run its SQL under the client's read role, draw it.

Called by the routes with a client that a session or a key proved. Panels about the chatbot ask where its tables are,
be that an attached database; all others ask the client's Grove schema.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from app.console.dashboards.figures import Look
from app.console.dashboards.frames import make_frame
from app.console.dashboards.macros import Variable, expand, read_variables
from app.console.dashboards.panels import PanelView, find_panel, view_panel
from app.query.plan import Statement
from app.query.run import Analyst
from app.query.spec import Period
from provisioning.schemas.dashboard import dashboards_of
from provisioning.templates import Template, context_of, palette, render, shipped_templates
from tenants.databases import Databases
from tenants.errors import InputRefused, NotFound
from tenants.placement import Purpose, TenantContext
from tenants.relations import OWN_SHAPE
from tenants.sources import SourceShape

STEP = "bucket"
MAX_ROWS = 5_000
# More than a year of hours for each of five series.
MAX_POINTS = 50_000


def list_dashboards(client: TenantContext) -> list[Template]:
    """List the dashboards that a client has."""
    return dashboards_of(client, shipped_templates())


def get_dashboard(client: TenantContext, uid: str) -> Template:
    """Return a dashboard of a client.

    Errors: NotFound.
    """
    found = next((template for template in list_dashboards(client) if template.uid == uid), None)
    if found is None:
        raise NotFound("No such dashboard.")
    return found


def zone_of(client: TenantContext) -> ZoneInfo:
    """Return the zone in which a client's dashboards are shown."""
    return ZoneInfo(client.timezone)


class Desk:
    """Runs panels. `analyst` knows what attached databases look like."""

    def __init__(self, databases: Databases, analyst: Analyst) -> None:
        self._databases = databases
        self._analyst = analyst

    async def view(
        self, client: TenantContext, template: Template, panel_id: int, *, period: Period, given: Mapping[str, str]
    ) -> PanelView:
        """Show a panel of a period. `given` are values for the dashboard's variables.

        Errors: NotFound; InputRefused for a variable, or a series too long to draw; SourceUnfit, StoreUnavailable,
        QueryTimedOut.
        """
        sketch = find_panel(template.model, panel_id)
        if sketch is None:
            raise NotFound("No such panel.")
        own = msgspec.structs.replace(template, model={"panel": sketch, "templating": template.model["templating"]})
        model = render(own, context_of(client))
        values, variables = read_variables(model, given)
        most = MAX_POINTS if sketch["type"] == "timeseries" else MAX_ROWS

        def plan(shape: SourceShape) -> Statement:
            panel = render(own, context_of(client, shape=shape))["panel"]
            return Statement(expand(panel["targets"][0]["rawSql"], period.from_at, period.to_at, values), ())

        if template.reads == "chat":
            rows, _ = await self._analyst.ask(client.placement, plan, most=most + 1)
        else:
            rows = await self._ask(client, template, plan(OWN_SHAPE).sql, most + 1)
        frame = make_frame(rows, most)
        if sketch["type"] == "timeseries" and len(rows) * len(frame.numbers) > MAX_POINTS:
            raise _too_long(variables)
        return view_panel(model["panel"], frame, Look(palette(context_of(client).primary), period))

    async def _ask(self, client: TenantContext, template: Template, sql: str, most: int) -> list[Any]:
        try:
            async with self._databases.unit(client.placement, Purpose.READ) as connection:
                return await connection.fetch_first(most, sql)
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            if template.audience != "schema":
                raise
            raise NotFound("The schema has just been changed.") from error


def _too_long(variables: Sequence[Variable]) -> InputRefused:
    """Refuse to draw a part of a series, and say with which coarser step, if there is one, it could be whole."""
    step = next((each for each in variables if each.name == STEP), None)
    coarser = step.options[step.options.index(step.value) + 1 :] if step else ()
    if step is None or not coarser:
        return InputRefused("These are too many points. Choose a shorter period.", field="from", code="too_many_points")
    message = f"These are too many points. Choose “{step.label} {coarser[0]}” or a shorter period."
    return InputRefused(message, field=f"var-{step.name}", code="too_many_points")
