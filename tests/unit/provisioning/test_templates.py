"""The dashboards' templates are what Grafana takes, and hold nothing that Grove itself could not draw."""

import copy
import json
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.console.dashboards.fields import field_of
from app.console.dashboards.macros import MACROS, VARIABLE_TYPES, TemplateUnknown, expand, read_variables
from app.console.dashboards.panels import PANEL_TYPES
from provisioning.schemas.dashboard import dashboards_of, make_dashboard
from provisioning.templates import (
    FOLDER,
    Context,
    Template,
    TemplateFault,
    context_of,
    load_templates,
    palette,
    render,
)
from tenants.clock import utc_now
from tenants.ids import TenantId
from tenants.placement import Placement, PlacementKind, TenantContext
from tenants.schemas import EventSchema, FieldType

TEMPLATES = load_templates()
SHOP = EventSchema(
    id=uuid.UUID(int=1), name="shop: a/b.c-d", description="", version=1, published=1,
    versions={1: {"cart add": {kind.value: kind for kind in FieldType}, "empty": {}}},
)  # fmt: skip
MADE = make_dashboard(SHOP)
EACH = pytest.mark.parametrize("template", [*TEMPLATES.dashboards, MADE], ids=lambda template: template.uid)
CLIENT = TenantContext(
    tenant_id=TenantId("maple"),
    name="Maple",
    status="active",
    timezone="Europe/Berlin",
    domain=None,
    branding={"primaryColor": "#c2410c"},
    retention_days=730,
    placement=Placement(
        tenant_id=TenantId("maple"),
        kind=PlacementKind.SCHEMA,
        server="main",
        database="grove",
        serve_url="postgresql://serve@localhost/grove",
        schema="t_abc",
        owner_role="o",
        writer_role="w",
        reader_role="r",
        login_role="l",
    ),
)
GRID_COLUMNS = 24


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def context_for(template: Template) -> Context:
    return Context(timezone="UTC") if template.audience == "platform" else context_of(CLIENT)


@EACH
def test_every_dashboard_is_as_grafana_takes_it(template: Template) -> None:
    model = template.model
    assert (model["uid"], model["title"], model["id"]) == (template.uid, template.title, None)
    assert model["schemaVersion"] == 37, "what Grafana 9.3 wrote, and 9.4 brings up to date"
    assert len({panel["id"] for panel in model["panels"]}) == len(model["panels"])
    assert len({panel["title"] for panel in model["panels"]}) == len(model["panels"])
    for panel in model["panels"]:
        assert panel["datasource"] == {"type": "postgres", "uid": "{{datasource}}"}
        (target,) = panel["targets"]
        assert target["datasource"] == panel["datasource"]
        assert (target["rawQuery"], target["refId"]) == (True, "A")
        assert target["format"] == ("time_series" if panel["type"] == "timeseries" else "table")


@EACH
def test_no_panel_lies_on_another(template: Template) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in template.model["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= GRID_COLUMNS
        assert not cells & taken, panel["title"]
        taken |= cells


@EACH
def test_everything_used_is_known(template: Template) -> None:
    model = render(template, context_for(template))
    values, _ = read_variables(model, {})
    for panel in model["panels"]:
        assert panel["type"] in PANEL_TYPES
        field_of(panel, "any")
        for override in panel["fieldConfig"]["overrides"]:
            field_of(panel, override["matcher"]["options"])
        sql = panel["targets"][0]["rawSql"]
        assert set(re.findall(r"\$__(\w+)", sql)) <= MACROS
        assert "$" not in expand(sql, utc_now(), utc_now(), values)
    assert {variable["type"] for variable in model["templating"]["list"]} <= VARIABLE_TYPES


def with_sql(sql: str) -> Callable[[dict[str, Any]], None]:
    def change(model: dict[str, Any]) -> None:
        model["panels"][0]["targets"][0]["rawSql"] = sql

    return change


def with_type(kind: str) -> Callable[[dict[str, Any]], None]:
    def change(model: dict[str, Any]) -> None:
        model["panels"][0]["type"] = kind

    return change


def with_variable(kind: str) -> Callable[[dict[str, Any]], None]:
    def change(model: dict[str, Any]) -> None:
        model["templating"]["list"][0]["type"] = kind

    return change


@pytest.mark.parametrize(
    "change",
    [
        with_sql("SELECT $__unixEpochFrom()"),
        with_sql("SELECT $__interval"),
        with_sql("SELECT '${unheard}'"),
        with_type("geomap"),
        with_variable("query"),
    ],
    ids=["macro", "interval", "variable", "panel type", "variable type"],
)
def test_what_is_not_known_would_be_found(change: Callable[[dict[str, Any]], None]) -> None:
    fields = {name: getattr(TEMPLATES.dashboards[0], name) for name in Template.__struct_fields__}
    changed = Template(**fields | {"model": copy.deepcopy(TEMPLATES.dashboards[0].model)})
    change(changed.model)
    with pytest.raises((AssertionError, TemplateUnknown)):
        test_everything_used_is_known(changed)


@EACH
def test_a_copy_has_the_clients_zone_and_colours_and_no_placeholder(template: Template) -> None:
    context = context_for(template)
    model = render(template, context)
    assert model["timezone"] == context.timezone
    assert not [text for text in texts(model) if "{{" in text]
    assert context.primary in texts(model)
    assert json.dumps(model) != json.dumps(template.model)


@EACH
def test_clients_dashboards_read_their_own_schema_alone(template: Template) -> None:
    if template.audience == "platform":
        return
    for panel in render(template, context_of(CLIENT))["panels"]:
        sql = panel["targets"][0]["rawSql"]
        schemas = set(re.findall(r'(?:FROM|JOIN)\s+("?\w+"?)\.', sql))
        assert schemas == {'"t_abc"'}, panel["title"]


def test_all_panels_count_the_same_orders() -> None:
    shop = next(template for template in TEMPLATES.dashboards if template.uid == "e-commerce")
    asked = [panel["targets"][0]["rawSql"] for panel in shop.model["panels"]]
    counted = ("orders", "order_counts", "products_sold", "shop_visits")
    assert all(any(f"{{{{fn}}}}{function}($__timeFrom()" in sql for function in counted) for sql in asked)
    assert not [sql for sql in asked if "purchase" in sql]


def test_a_relation_has_the_columns_that_are_named() -> None:
    template = TEMPLATES.dashboards[0]
    named = {name: getattr(template, name) for name in Template.__struct_fields__}
    one = Template(**named | {"model": {"sql": "SELECT source FROM {{leads}} AS l"}})
    assert render(one, context_of(CLIENT))["sql"] == (
        'SELECT source FROM (\n  SELECT "source" AS source\n  FROM "t_abc"."Leads"\n) AS l'
    )


def test_a_client_gets_what_it_asked_for_else_all() -> None:
    def uids(*sets: str) -> list[str]:
        return [template.uid for template in TEMPLATES.choose(sets, PlacementKind.SCHEMA)]

    assert uids("chatbot") == ["user-events", "conversations"]
    assert uids("shop", "unheard-of") == ["e-commerce"]
    assert uids() == ["user-events", "conversations", "portfolio", "e-commerce"]


def test_the_dashboards_of_schemas_that_have_views_come_last() -> None:
    new = msgspec.structs.replace(SHOP, name="new", published=None)
    client = msgspec.structs.replace(CLIENT, dashboards=("shop",), schemas={"new": new, SHOP.name: SHOP})
    assert [template.uid for template in dashboards_of(client, TEMPLATES)] == ["e-commerce", MADE.uid]


def test_a_schemas_dashboard_has_a_panel_for_each_field_that_can_be_counted_or_added_up() -> None:
    panels = {panel["title"]: panel["type"] for panel in MADE.model["panels"]}
    assert panels == {
        "Events": "stat", "Events over time": "timeseries", "Latest events": "table",
        "cart add: string": "barchart", "cart add: number": "stat", "cart add: boolean": "barchart",
    }  # fmt: skip


@pytest.mark.parametrize("primary", ["#000000", "#ffffff", "#c2410c", "#3b82f6"])
def test_the_palette_begins_with_the_clients_colour_and_repeats_none(primary: str) -> None:
    colours = palette(primary)
    assert colours[0] == primary
    assert len(set(colours)) == len(colours)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


def test_a_placeholder_that_stands_for_nothing_is_a_fault() -> None:
    fields = {name: getattr(TEMPLATES.dashboards[0], name) for name in Template.__struct_fields__}
    with pytest.raises(TemplateFault, match="unheard"):
        render(Template(**fields | {"model": {"a": ["{{unheard}}"]}}), context_of(CLIENT))
    with pytest.raises(TemplateFault, match="schema"):
        render(Template(**fields | {"model": {"a": "{{schema}}"}}), Context(timezone="UTC"))


def broken_manifest(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    for file in FOLDER.glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    change(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda manifest: manifest["dashboards"][0].update(title="Other"), "uid or title"),
        (lambda manifest: manifest["dashboards"][0].update(file="none.json"), "none.json"),
        (lambda manifest: manifest["dashboards"][0].update(uid="Not Valid"), "uid"),
        (lambda manifest: manifest["dashboards"][0].update(colour="red"), "colour"),
        (lambda manifest: manifest["dashboards"].append(manifest["dashboards"][0]), "same uid"),
        (lambda manifest: manifest.update(default_sets=["none"]), "default set"),
        (lambda manifest: manifest.update(version=0), "version"),
        (lambda manifest: manifest["dashboards"][0].update(folder="Portfolio"), "title of a folder"),
    ],
    ids=["title", "file", "uid", "field", "twice", "default", "version", "folder"],
)
def test_a_manifest_that_does_not_hold_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], fault: str
) -> None:
    with pytest.raises(TemplateFault, match=fault):
        load_templates(broken_manifest(tmp_path, change))
