"""Every panel of every dashboard: as the client's Grafana login sees it, as Grove draws it, and as the API answers."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import pytest
from sqlalchemy import select

from app.console.dashboards.macros import expand, read_variables
from app.console.dashboards.routes import LIBRARY_NAME
from app.demo.clients import BIRCH, CEDAR, MAPLE
from app.demo.story import tell_day
from app.embedded.postgres import EmbeddedPostgres
from app.query.spec import Period, read_period
from app.query.zones import list_shifts
from provisioning.templates import Template, context_of, load_templates, render
from tenants.clock import utc_now
from tenants.control import ControlPlane
from tenants.ids import TenantId, quote
from tenants.models import PlacementRow
from tenants.placement import PlacementKind, TenantContext
from tenants.registry import Registry, with_login
from tenants.relations import OWN_SHAPE
from tenants.sources import read_shape
from tenants.vault import Vault
from tests.support.grove import SECRET_KEY, Grove, MadeClient, open_grove, own_database

ZONE = "America/New_York"
TEMPLATES = load_templates()
CLIENT_TEMPLATES = [template for template in TEMPLATES.dashboards if template.audience != "platform"]
KINDS = list(PlacementKind)
(SHOP,) = (template for template in CLIENT_TEMPLATES if template.uid == "e-commerce")
# An older chatbot's database: times without a zone, names that look like Grafana's, whole numbers where we have text.
ATTACHED = """
CREATE TABLE "visit$s" ("sessionId" text PRIMARY KEY, "page$__Loaded()" timestamp, "widgetOpened" timestamp,
    "requestedHuman" timestamp, "pressedAccept" timestamp, "pressedCallback" timestamp, "pressedContinue" timestamp,
    "createdAt" timestamp, "updatedAt" timestamp);
CREATE TABLE "Leads" (id uuid, "sessionId" text, name text, email text, phone bigint, source text,
    "createdAt" timestamp);
CREATE TABLE "ChatLog" (id uuid, "sessionId" text, role varchar(20), message text, intent text, fallback boolean,
    "tokensIn" integer, "tokensOut" integer, cost real, "latencyMs" integer, "createdAt" timestamp);
CREATE TABLE "AgentConnection" (id uuid, "sessionId" text, agent text, "connectedAt" timestamp,
    "disconnectedAt" timestamp, csat smallint)
"""
RENAMED = {"UserEvents": {"pageLoaded": "page$__Loaded()"}}
COPIED = {
    "UserEvents": "visit$s",
    "Leads": "Leads",
    "ChatLog": "ChatLog",
    "AgentConnection": "AgentConnection",
}


class Seeded(msgspec.Struct, frozen=True):
    """A client with a few days of everything, and the logins that its Grafana would use."""

    made: MadeClient
    context: TenantContext
    login_url: str

    def url_for(self, template: Template) -> str:
        """Choose the database that a dashboard reads."""
        source_url = self.context.placement.source_url
        return self.login_url if source_url is None or template.reads == "events" else source_url


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url) as opened, opened.worker():
        yield opened


@pytest.fixture(scope="module")
async def clients(grove: Grove, postgres: EmbeddedPostgres) -> AsyncIterator[dict[PlacementKind, Seeded]]:
    async with own_database(postgres.url) as attached_url:
        connection = await asyncpg.connect(attached_url)
        await connection.execute(ATTACHED)
        made: dict[PlacementKind, Seeded] = {}
        for kind in KINDS:
            placement: dict[str, Any] = {"kind": kind.value}
            if kind is PlacementKind.EXTERNAL:
                await copy_chat(grove, made[PlacementKind.SCHEMA], connection)
                placement |= {"url": attached_url, "tables": {"UserEvents": "visit$s"}, "columns": RENAMED}
            client = await grove.make_client(f"tree-{kind.value}", timezone=ZONE, placement=placement)
            await send_days(grove, client, chat=kind is not PlacementKind.EXTERNAL)
            made[kind] = await look_up(grove, client)
        await connection.close()
        yield made


async def look_up(grove: Grove, client: MadeClient) -> Seeded:
    """Find out where a client is and with which password its Grafana logs in."""
    control, vault = ControlPlane(grove.settings.main_url), Vault(SECRET_KEY)
    async with control.session() as session:
        registry = Registry(control, vault=vault, main_url=grove.settings.main_url)
        context = await registry.load(session, TenantId(client.id))
        query = select(PlacementRow.login_password_sealed).where(PlacementRow.client_id == client.id)
        sealed = (await session.execute(query)).scalar_one()
    assert sealed is not None
    await control.close()
    url = with_login(context.placement.serve_url, user=context.placement.login_role, password=vault.open(sealed))
    return Seeded(client, context, url)


async def send_days(grove: Grove, client: MadeClient, *, chat: bool) -> None:
    """Send what happened at all three of the demo's clients on the last four days, thinned out."""
    today = utc_now().date()
    stories = [MAPLE, BIRCH, CEDAR] if chat else [BIRCH, CEDAR]
    days = [today - timedelta(days=ago) for ago in range(2, 6)]
    events = [event for story in stories for day in days for event in tell_day(story, day, scale=0.2)]
    for start in range(0, len(events), 1000):
        body = json.dumps(events[start : start + 1000])
        headers = client.server | {"Content-Type": "application/json"}
        answer = await grove.http.post("/api/v1/events", content=body, headers=headers)
        assert answer.status_code == 202
        assert answer.json()["rejected"] == []


async def copy_chat(grove: Grove, source: Seeded, target: asyncpg.Connection) -> None:
    """Put the chatbot rows of one client into a customer's database, in UTC without saying so."""
    connection = await asyncpg.connect(grove.settings.main_url)
    for ours, theirs in COPIED.items():
        columns = [row["name"] for row in await target.fetch(
            "SELECT column_name AS name FROM information_schema.columns WHERE table_name = $1", theirs
        )]  # fmt: skip
        rows = await connection.fetch(f"TABLE {quote(source.context.placement.schema)}.{quote(ours)}")
        names = {renamed: name for name, renamed in RENAMED.get(ours, {}).items()}
        records = [[plain(name, row[names.get(name, name)]) for name in columns] for row in rows]
        await target.copy_records_to_table(theirs, records=records, columns=columns)
    await connection.close()


def plain(name: str, value: Any) -> Any:
    """Write a value as the customer's database has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    if name == "phone" and value is not None:
        return int("".join(character for character in value if character.isdigit()))
    return int(value) if name in {"csat", "latencyMs"} and value is not None else value


def a_shops_day() -> Iterator[dict[str, Any]]:
    """Tell of four orders: two by the browser and by the server, one by the server alone, one without an amount.

    Of two tellings the earlier counts, unless it names no amount.
    """
    begun = utc_now() - timedelta(days=1)

    def tell(minute: int, name: str, session_id: str | None, amount: int | None = None, **properties: Any) -> Any:
        event = {"event_id": str(uuid4()), "name": name, "occurred_at": (begun + timedelta(minutes=minute)).isoformat()}
        paid = {} if amount is None else {"amount": amount, "currency": "USD"}
        return event | {"session_id": session_id, "properties": properties} | paid

    yield tell(0, "product_view", "first", product_id="pan", price=10)
    yield tell(1, "add_to_cart", "first", product_id="pan", price=10)
    yield tell(2, "checkout_start", "first", 30)
    yield tell(3, "purchase", "first", order_id="one", items=[{"product_id": "pan", "quantity": 3}])
    yield tell(4, "purchase", None, 30, order_id="one", items=[{"product_id": "pan", "quantity": 3}])
    yield tell(5, "product_view", "second", product_id="cup", price=5)
    yield tell(6, "purchase", None, 10, order_id="two", items=[{"product_id": "cup", "quantity": 2}])
    yield tell(7, "purchase", "second", 12, order_id="two", items=[{"product_id": "cup", "quantity": 2}])
    yield tell(8, "purchase", None, 65, order_id="three", items=[{"product_id": "rug", "price": 65}])
    yield tell(9, "purchase", "third", order_id="four")
    yield tell(10, "page_view", "fourth")
    yield tell(11, "product_view", None, product_id="pan", price=10)
    yield tell(12, "page_loaded", "chat")
    yield tell(13, "widget_opened", "chat")


def a_month() -> Period:
    return read_period(None, None, None, client_zone=ZONE, now=utc_now())


async def ask(
    seeded: Seeded,
    template: Template,
    panel: Mapping[str, Any],
    *,
    prefix: str = "",
    period: Period | None = None,
    **given: str,
) -> list[asyncpg.Record]:
    """Run a panel's SQL as Grafana would: with the login of the client's Grafana, in the database that it reads."""
    connection = await asyncpg.connect(seeded.url_for(template))
    try:
        shape = OWN_SHAPE
        if seeded.context.placement.source is not None and template.reads == "chat":
            shape = await read_shape(connection.fetch, seeded.context.placement.source)
        model = render(template, context_of(seeded.context, shape=shape))
        values, _ = read_variables(model, given)
        sql = next(each for each in model["panels"] if each["id"] == panel["id"])["targets"][0]["rawSql"]
        period = period or a_month()
        return list(await connection.fetch(prefix + expand(sql, period.from_at, period.to_at, values)))
    finally:
        await connection.close()


async def plan_of(seeded: Seeded, template: Template, panel: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the nodes of a panel's plan."""
    (row,) = await ask(seeded, template, panel, prefix="EXPLAIN (VERBOSE, FORMAT JSON) ")
    nodes = [json.loads(row[0])[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    return nodes


def panel_of(uid: str, title: str) -> tuple[Template, dict[str, Any]]:
    template = next(each for each in TEMPLATES.dashboards if each.uid == uid)
    return template, next(panel for panel in template.model["panels"] if panel["title"] == title)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("template", CLIENT_TEMPLATES, ids=lambda template: template.uid)
async def test_every_panel_runs_as_the_login_of_the_clients_grafana(
    clients: dict[PlacementKind, Seeded], kind: PlacementKind, template: Template
) -> None:
    for panel in template.model["panels"]:
        for bucket in ("hour", "day", "week", "month"):
            rows = await ask(clients[kind], template, panel, bucket=bucket)
            assert rows, panel["title"]
            assert any(value for row in rows for value in row.values()), panel["title"]
            if "${bucket}" not in panel["targets"][0]["rawSql"]:
                break


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("template", CLIENT_TEMPLATES, ids=lambda template: template.uid)
async def test_every_panel_is_drawn_for_the_clients_read_key(
    grove: Grove, clients: dict[PlacementKind, Seeded], kind: PlacementKind, template: Template
) -> None:
    client = clients[kind].made
    for panel in template.model["panels"]:
        path = f"/{client.id}/dashboards/{template.uid}/panels/{panel['id']}"
        answer = await grove.http.get(path, headers=client.server)
        assert answer.status_code == 200, answer.text
        assert answer.json()["view"] in {"figure", "values", "table"}, panel["title"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("template", CLIENT_TEMPLATES, ids=lambda template: template.uid)
async def test_a_panel_reads_one_schema_and_no_table_anew_for_each_row(
    clients: dict[PlacementKind, Seeded], kind: PlacementKind, template: Template
) -> None:
    seeded = clients[kind]
    attached = kind is PlacementKind.EXTERNAL and template.reads == "chat"
    for panel in template.model["panels"]:
        nodes = await plan_of(seeded, template, panel)
        read = [node for node in nodes if "Relation Name" in node or "Function Name" in node]
        schemas = {node["Schema"] for node in read} - {"pg_catalog"}
        assert schemas == {"public" if attached else seeded.context.placement.schema}, panel["title"]
        # A subplan is kept as a hash only while it fits into work_mem; with more rows it runs for each row outside.
        assert "SubPlan" not in {node.get("Parent Relationship") for node in nodes}, panel["title"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_the_funnel_and_its_rates_are_those_of_the_api(
    grove: Grove, clients: dict[PlacementKind, Seeded], kind: PlacementKind
) -> None:
    seeded = clients[kind]
    answer = (await grove.http.get(f"/api/{seeded.made.id}/funnel", headers=seeded.made.server)).json()
    steps = answer["steps"]
    assert steps[0]["count"] > 50
    (funnel,) = await ask(seeded, *panel_of("user-events", "Conversion funnel"))
    assert list(funnel.values()) == [step["count"] for step in steps]
    rates = await ask(seeded, *panel_of("user-events", "Rate of each step"))
    assert [row["Sessions"] for row in rates] == [step["count"] for step in steps]
    for row, step in zip(rates, steps, strict=True):
        assert float(row["Of the step before"]) == pytest.approx(step["rateOfPrevious"], abs=0.006)
        assert float(row["Of page loads"]) == pytest.approx(step["rateOfFirst"], abs=0.006)
    (shares,) = await ask(seeded, *panel_of("user-events", "Accept against callback"))
    assert list(shares.values()) == [answer["acceptVsCallback"]["accepts"], answer["acceptVsCallback"]["callbacks"]]


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_days_hours_and_leads_are_those_of_the_api(
    grove: Grove, clients: dict[PlacementKind, Seeded], kind: PlacementKind
) -> None:
    seeded = clients[kind]
    daily, hourly, leads = [
        (await grove.http.get(f"/api/{seeded.made.id}/{name}", headers=seeded.made.server)).json()
        for name in ("daily", "hourly", "leads")
    ]
    days = await ask(seeded, *panel_of("user-events", "Sessions and steps over time"), bucket="day")
    found = {row["time"].astimezone(ZoneInfo(ZONE)).date().isoformat(): row for row in days}
    assert {day: (row["Sessions"], row["Accepts"]) for day, row in found.items()} == {
        day["date"]: (day["sessions"], day["accepts"]) for day in daily["days"]
    }
    hours = await ask(seeded, *panel_of("user-events", "Sessions by hour of day"))
    assert [row["Sessions"] for row in hours] == [hour["sessions"] for hour in hourly["hours"]]
    peaks = await ask(seeded, *panel_of("user-events", "Peak hours"))
    assert peaks[0]["Hour"].startswith(f"{hourly['peakHour']:02}:00")
    (glance,) = await ask(seeded, *panel_of("user-events", "At a glance"))
    assert glance["Leads"] == leads["leads"]
    assert float(glance["Sessions with a lead"]) == pytest.approx(leads["conversionRate"], abs=0.006)
    week = await ask(seeded, *panel_of("user-events", "Sessions by weekday and hour"))
    assert sum(value for row in week for value in list(row.values())[1:]) == glance["Sessions"]


async def test_revenue_is_the_sum_of_the_orders(clients: dict[PlacementKind, Seeded]) -> None:
    seeded = clients[PlacementKind.SCHEMA]
    (total,) = await ask(seeded, *panel_of("e-commerce", "Revenue"))
    orders = await ask(seeded, *panel_of("e-commerce", "Latest orders"))
    products = await ask(seeded, *panel_of("e-commerce", "Top products"))
    assert total["Revenue"] == sum(row["Amount"] for row in orders) == sum(row["Revenue"] for row in products)


async def test_the_shops_panels_agree_on_what_was_sold(grove: Grove) -> None:
    client = await grove.make_client("tree-shop", timezone=ZONE)
    answer = await grove.http.post("/api/v1/events", json=list(a_shops_day()), headers=client.server)
    assert (answer.status_code, answer.json()["rejected"]) == (202, [])
    seeded = await look_up(grove, client)
    shown = {panel["title"]: await ask(seeded, SHOP, panel, bucket="hour") for panel in SHOP.model["panels"]}
    assert [dict(row) for row in shown["At a glance"]] == [
        {
            "Product views": 3,
            "Added to cart": 1,
            "Add-to-cart rate": 50,
            "Orders": 4,
            "Sessions with an order": 75,
        }
    ]
    assert [dict(row) for row in shown["Purchase funnel"]] == [
        {"Sessions": 4, "Looked at a product": 2, "Added to cart": 1, "Began checkout": 1, "Paid": 3}
    ]
    assert [tuple(row) for row in shown["Revenue"]] == [("USD", 105)]
    assert [tuple(row) for row in shown["Average order"]] == [("USD", 35)]
    assert {row["metric"] for row in shown["Revenue over time"]} == {"USD"}
    assert sum(row["revenue"] for row in shown["Revenue over time"]) == 105
    assert sum(row["Orders"] for row in shown["Shopping over time"]) == 4
    assert sum(row["Product views"] for row in shown["Shopping over time"]) == 3
    assert {row["Product"]: (row["Units sold"], row["Revenue"]) for row in shown["Top products"]} == {
        "pan": (3, 30),
        "cup": (2, 10),
        "rug": (1, 65),
    }
    assert sum(row["Orders"] for row in shown["Payment methods"]) == 4
    assert [(row["Order"], row["Amount"]) for row in shown["Latest orders"]] == [
        ("four", None),
        ("three", 65),
        ("two", 10),
        ("one", 30),
    ]


async def test_no_order_is_lost_in_the_hour_that_the_end_of_summer_time_repeats(grove: Grove) -> None:
    client = await grove.make_client("tree-clock", timezone=ZONE)
    shifts = list_shifts(utc_now() - timedelta(days=400), utc_now(), ZoneInfo(ZONE))
    change = next(at for (_, before), (at, after) in pairwise(shifts) if after < before)
    orders = [
        {"event_id": str(uuid4()), "name": "purchase", "occurred_at": (change + around).isoformat(), "amount": 1}
        for around in (timedelta(minutes=-30), timedelta(minutes=30))
    ]
    answer = await grove.http.post("/api/v1/events", json=orders, headers=client.server)
    assert answer.json()["rejected"] == []
    day = timedelta(days=1)
    period = Period(from_at=change - day, to_at=change + day, zone=ZoneInfo(ZONE))
    panel = panel_of("e-commerce", "Revenue over time")
    rows = await ask(await look_up(grove, client), *panel, period=period, bucket="hour")
    assert sum(row["revenue"] for row in rows) == 2


@pytest.mark.parametrize(("uid", "panel_id"), [("user-events", 5), ("e-commerce", 5)])
async def test_a_year_of_hours_is_drawn_up_to_now(
    grove: Grove, clients: dict[PlacementKind, Seeded], uid: str, panel_id: int
) -> None:
    client = clients[PlacementKind.SCHEMA].made
    path = f"/{client.id}/dashboards/{uid}/panels/{panel_id}?from=now-364d/d&to=now&var-bucket=hour"
    view = (await grove.http.get(path, headers=client.server)).json()
    assert not view["cut"]
    this_hour = utc_now().astimezone(ZoneInfo(ZONE)).strftime("%Y-%m-%dT%H")
    for series in view["figure"]["data"]:
        assert len(series["x"]) >= 364 * 24
        assert series["x"][-1].replace(" ", "T").startswith(this_hour)


async def test_a_series_too_long_to_draw_is_refused_with_a_step_that_would_do(
    grove: Grove, clients: dict[PlacementKind, Seeded]
) -> None:
    client = clients[PlacementKind.SCHEMA].made
    path = f"/{client.id}/dashboards/user-events/panels/5?from=now-3649d/d&to=now&var-bucket="
    answer = await grove.http.get(path + "hour", headers=client.server)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["detail"] == "These are too many points. Choose “Per day” or a shorter period."
    assert (await grove.http.get(path + "day", headers=client.server)).status_code == 200


async def test_a_dashboard_shows_nothing_to_strangers(grove: Grove, clients: dict[PlacementKind, Seeded]) -> None:
    maple, other = clients[PlacementKind.SCHEMA].made, clients[PlacementKind.DATABASE].made
    path = f"/{maple.id}/dashboards/user-events/panels/1"
    assert (await grove.http.get(path, headers=other.server)).status_code == 404
    assert (await grove.http.get(path, headers=maple.browser)).status_code == 403
    assert (await grove.http.get(path)).status_code == 401
    page = await grove.http.get(f"/{maple.id}/", headers={"Accept": "text/html"})
    assert page.status_code == 303
    assert page.headers["location"].startswith(f"/{maple.id}/login")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("user-events/panels/999", 404),
        ("service-health/panels/1", 404),
        ("user-events/panels/5?var-bucket=day'%20OR%20true", 400),
        ("user-events/panels/5?from=yesterday", 400),
        ("user-events/panels/5?from=now&to=now-1d", 400),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    grove: Grove, clients: dict[PlacementKind, Seeded], path: str, status: int
) -> None:
    client = clients[PlacementKind.SCHEMA].made
    answer = await grove.http.get(f"/{client.id}/dashboards/{path}", headers=client.server)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_library_is_kept_by_browsers_for_good(grove: Grove, clients: dict[PlacementKind, Seeded]) -> None:
    client_id = clients[PlacementKind.SCHEMA].made.id
    answer = await grove.http.get(f"/{client_id}/dashboards/library/{LIBRARY_NAME}")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert "plotly.js" in answer.text[:400]
    assert (await grove.http.get(f"/{client_id}/dashboards/library/other.js")).status_code == 404
