"""The starter dashboard of an event schema, made from its definition. Pure.

Used by provisioning, which puts it into the client's Grafana, and by the built-in dashboards. It reads the schema's
views, so it is of the version that was published.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from provisioning.schemas.names import column_name, view_name
from provisioning.sqltext import literal
from provisioning.templates import Template, Templates
from tenants.ids import quote
from tenants.placement import PlacementKind, TenantContext
from tenants.schemas import EventSchema, FieldType

FOLDER = "Event schemas"
_COLUMNS = 24
_HALF = 12
_MOST_COUNTED = 20
_MOST_FIELDS = 30
_SOURCE = {"type": "postgres", "uid": "{{datasource}}"}
_STEPS = ("hour", "day", "week", "month")
_OWN_COLOUR = {"mode": "fixed", "fixedColor": "{{colour1}}"}
_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_LEGEND = {"displayMode": "list", "placement": "bottom", "calcs": []}
_IN_RANGE = "occurred_at >= $__timeFrom() AND occurred_at < $__timeTo()"
Panel = dict[str, Any]


def dashboards_of(client: TenantContext, templates: Templates) -> list[Template]:
    """List a client's dashboards: those that it chose, then those of its schemas that have views, by name."""
    shown = [schema for _, schema in sorted(client.schemas.items()) if schema.shown]
    return [*templates.choose(client.dashboards, client.placement.kind), *map(make_dashboard, shown)]


def dashboard_uid(schema: EventSchema) -> str:
    """Name a schema's dashboard in addresses; it stays the same while the schema does."""
    return f"schema-{schema.id.hex[:16]}"


def make_dashboard(schema: EventSchema) -> Template:
    """Make the dashboard of a schema."""
    # Grafana tells titles apart by their plain letters alone.
    title = f"{schema.name} events" if schema.name.isascii() else f"{schema.name} events {schema.id.hex[:6]}"
    uid = dashboard_uid(schema)
    model: dict[str, Any] = {
        "id": None, "uid": uid, "title": title, "tags": ["event schema"], "schemaVersion": 37, "version": 1,
        "description": schema.description or f"Events of the schema {schema.name}.",
        "style": "dark", "editable": True, "graphTooltip": 1, "fiscalYearStartMonth": 0, "weekStart": "",
        "liveNow": False, "timezone": "{{timezone}}", "time": {"from": "now-6d/d", "to": "now"}, "refresh": "",
        "timepicker": {"refresh_intervals": ["30s", "1m", "5m", "15m", "1h"]}, "annotations": {"list": []},
        "links": [], "templating": {"list": [_zone(), _step()]}, "panels": _panels(schema),
    }  # fmt: skip
    return Template(
        uid=uid, title=title, file=f"schema {schema.name}", folder=FOLDER, audience="schema", reads="events",
        placements=tuple(PlacementKind), model=model,
    )  # fmt: skip


def _panels(schema: EventSchema) -> list[Panel]:
    event_types = list(schema.shown)
    panels = [
        _stat("Events", _count(schema, event_types[:_MOST_COUNTED])) | _at(0, 0, _COLUMNS, 4),
        _over_time(schema, event_types[:_MOST_COUNTED]) | _at(0, 4, _COLUMNS, 8),
        _table("Latest events", _latest(schema)) | _at(0, 12, _COLUMNS, 9),
    ]
    for place, panel in enumerate(islice(_fields(schema), _MOST_FIELDS)):
        row, column = divmod(place, 2)
        panels.append(panel | _at(column * _HALF, 21 + row * 8, _HALF, 8))
    return [panel | {"id": number} for number, panel in enumerate(panels, start=1)]


def _fields(schema: EventSchema) -> Iterator[Panel]:
    for event_type, fields in schema.shown.items():
        view = _view(schema, event_type)
        for field, kind in fields.items():
            title, column = f"{event_type}: {field}", quote(column_name(field))
            if kind is FieldType.NUMBER:
                yield _stat(title, _figures(view, column))
            elif kind in {FieldType.STRING, FieldType.BOOLEAN}:
                yield _bars(title, _commonest(view, column))


def _count(schema: EventSchema, event_types: Sequence[str]) -> str:
    counts = (
        f"(SELECT count(*) FROM {_view(schema, each)} WHERE {_IN_RANGE}) AS {quote(each)}"  # noqa: S608 - quoted
        for each in event_types
    )
    return "SELECT " + ",\n  ".join(counts)


def _series(schema: EventSchema, event_types: Sequence[str]) -> str:
    counted = "\n  UNION ALL\n  ".join(
        f"SELECT occurred_at, {literal(each)} AS event FROM {_view(schema, each)} WHERE {_IN_RANGE}"  # noqa: S608
        for each in event_types
    )
    return (
        "SELECT date_trunc('${bucket}', occurred_at, '${tz}') AS time, event, count(*) AS events\n"
        f"FROM (\n  {counted}\n) AS counted\nGROUP BY 1, 2\nORDER BY 1, 2"
    )


def _latest(schema: EventSchema) -> str:
    return (
        'SELECT occurred_at AS "Time", name AS "Event", user_id AS "User", session_id AS "Session",\n'
        '  left(properties::text, 300) AS "Properties"\n'
        f"FROM {{{{schema}}}}.events\nWHERE schema_name = {literal(schema.name)} AND {_IN_RANGE}\n"
        "ORDER BY occurred_at DESC\nLIMIT 50"
    )


def _figures(view: str, column: str) -> str:
    return (
        f'SELECT sum({column}) AS "Sum", avg({column}) AS "Average",\n'
        f'  min({column}) AS "Least", max({column}) AS "Most"\nFROM {view}\nWHERE {_IN_RANGE}'
    )


def _commonest(view: str, column: str) -> str:
    return (
        f'SELECT left({column}::text, 60) AS "Value", count(*) AS "Events"\n'
        f"FROM {view}\nWHERE {_IN_RANGE} AND {column} IS NOT NULL\nGROUP BY 1\nORDER BY 2 DESC, 1\nLIMIT 12"
    )


def _view(schema: EventSchema, event_type: str) -> str:
    return "{{schema}}." + quote(view_name(schema.name, event_type))


def _stat(title: str, sql: str) -> Panel:
    options = {
        "reduceOptions": _REDUCED, "orientation": "auto", "textMode": "value_and_name", "colorMode": "none",
        "graphMode": "none", "justifyMode": "auto",
    }  # fmt: skip
    return _panel("stat", title, sql, {"color": _OWN_COLOUR, "unit": "locale"}, options)


def _over_time(schema: EventSchema, event_types: Sequence[str]) -> Panel:
    custom = {
        "drawStyle": "bars", "lineWidth": 1, "fillOpacity": 80, "showPoints": "never", "spanNulls": False,
        "stacking": {"mode": "normal", "group": "A"},
    }  # fmt: skip
    defaults = {"color": {"mode": "palette-classic"}, "min": 0, "custom": custom, "unit": "locale"}
    options = {"legend": _LEGEND | {"showLegend": True}, "tooltip": {"mode": "multi", "sort": "none"}}
    return _panel("timeseries", "Events over time", _series(schema, event_types), defaults, options)


def _table(title: str, sql: str) -> Panel:
    defaults = {"custom": {"align": "auto", "displayMode": "auto", "minWidth": 70}}
    footer = {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""}
    return _panel("table", title, sql, defaults, {"showHeader": True, "cellHeight": "sm", "footer": footer})


def _bars(title: str, sql: str) -> Panel:
    defaults = {"min": 0, "color": _OWN_COLOUR, "custom": {"fillOpacity": 80, "lineWidth": 0}, "unit": "locale"}
    options = {
        "xField": "Value", "orientation": "horizontal", "stacking": "none", "showValue": "always", "barWidth": 0.8,
        "groupWidth": 0.7, "xTickLabelRotation": 0, "legend": _LEGEND | {"showLegend": False},
        "tooltip": {"mode": "multi", "sort": "none"}, "text": {"valueSize": 12},
    }  # fmt: skip
    return _panel("barchart", title, sql, defaults, options)


def _panel(kind: str, title: str, sql: str, defaults: Panel, options: Panel) -> Panel:
    target = {
        "datasource": _SOURCE, "editorMode": "code", "format": "time_series" if kind == "timeseries" else "table",
        "rawQuery": True, "rawSql": sql, "refId": "A",
    }  # fmt: skip
    return {
        "type": kind, "title": title, "datasource": _SOURCE, "options": options, "targets": [target],
        "fieldConfig": {"defaults": defaults, "overrides": []},
    }  # fmt: skip


def _at(x: int, y: int, width: int, height: int) -> Panel:
    return {"gridPos": {"h": height, "w": width, "x": x, "y": y}}


def _zone() -> Panel:
    zone = "{{timezone}}"
    chosen = {"selected": True, "text": zone, "value": zone}
    return {
        "name": "tz", "label": "Time zone", "type": "constant", "query": zone, "hide": 2, "skipUrlSync": True,
        "current": chosen, "options": [chosen],
    }  # fmt: skip


def _step() -> Panel:
    options = [{"selected": step == "day", "text": step, "value": step} for step in _STEPS]
    return {
        "name": "bucket", "label": "Per", "type": "custom", "query": ",".join(_STEPS), "hide": 0, "multi": False,
        "includeAll": False, "skipUrlSync": False, "current": options[1], "options": options,
    }  # fmt: skip
