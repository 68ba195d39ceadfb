"""Rows become drawings, values and tables, in the client's zone and colours."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.console.dashboards.fields import Field, write_value
from app.console.dashboards.figures import Look
from app.console.dashboards.frames import make_frame, series_of
from app.console.dashboards.macros import TemplateUnknown
from app.console.dashboards.panels import PanelView, view_panel
from app.query.spec import Period

ZONE = ZoneInfo("America/New_York")
FROM, TO = datetime(2026, 7, 1, 4, tzinfo=UTC), datetime(2026, 7, 3, 4, tzinfo=UTC)
LOOK = Look(["#c2410c", "#39c68b", "#c361d1"], Period(from_at=FROM, to_at=TO, zone=ZONE))
REDUCED = {"reduceOptions": {"values": False}}


def show(
    kind: str, rows: list[dict[str, Any]], *, options: dict[str, Any] | None = None, defaults: Any = None,
    overrides: list[Any] | None = None,
) -> PanelView:  # fmt: skip
    config = {"defaults": defaults or {}, "overrides": overrides or []}
    panel = {"type": kind, "fieldConfig": config, "options": {"legend": {"showLegend": True}} | (options or {})}
    return view_panel(panel, make_frame(rows, 100), LOOK)


def figure(view: PanelView) -> dict[str, Any]:
    assert view.figure is not None
    return view.figure


def test_times_are_drawn_as_the_wall_clock_of_the_client() -> None:
    drawn = figure(show("timeseries", [{"time": FROM, "Sessions": 3}, {"time": TO, "Sessions": 4}]))
    assert drawn["data"][0]["x"] == ["2026-07-01T00:00:00", "2026-07-03T00:00:00"]
    assert drawn["data"][0]["line"]["color"] == "#c2410c"
    assert drawn["layout"]["xaxis"]["range"] == ["2026-07-01T00:00:00", "2026-07-03T00:00:00"]


def test_a_text_beside_the_time_names_the_series() -> None:
    rows = [
        {"time": FROM, "metric": "USD", "revenue": Decimal("1.50")},
        {"time": FROM, "metric": "EUR", "revenue": Decimal(2)},
        {"time": TO, "metric": "EUR", "revenue": Decimal(3)},
    ]
    wide = series_of(make_frame(rows, 100))
    assert {column.name: column.values for column in wide.numbers} == {"USD": [1.5, None], "EUR": [2.0, 3.0]}


def test_stacked_bars_are_stacked() -> None:
    custom = {"custom": {"drawStyle": "bars", "stacking": {"mode": "normal"}}}
    drawn = figure(show("timeseries", [{"time": FROM, "a": 1, "b": 2}], defaults=custom))
    assert [trace["type"] for trace in drawn["data"]] == ["bar", "bar"]
    assert drawn["layout"]["barmode"] == "stack"


def test_an_override_decides_over_the_defaults() -> None:
    override = {
        "matcher": {"id": "byName", "options": "Rate"},
        "properties": [{"id": "unit", "value": "percent"}, {"id": "decimals", "value": 1}],
    }
    view = show("stat", [{"Sessions": 1234, "Rate": Decimal("12.345"), "Cost": None}], options=REDUCED,
                overrides=[override])  # fmt: skip
    assert [(value.name, value.text) for value in view.values] == [
        ("Sessions", "1,234"), ("Rate", "12.3 %"), ("Cost", "\N{EN DASH}"),
    ]  # fmt: skip


def test_a_stat_of_rows_is_named_by_their_text() -> None:
    view = show("stat", [{"Currency": "USD", "Revenue": 2}], options={"reduceOptions": {"values": True}})
    assert [(value.name, value.text) for value in view.values] == [("USD", "2")]


def test_a_table_is_written_for_people() -> None:
    view = show("table", [{"At": TO, "Who": None, "n": 1000}])
    assert [(header.name, header.number) for header in view.headers] == [("At", False), ("Who", False), ("n", True)]
    assert view.rows == [["2026-07-03 00:00", "\N{EN DASH}", "1,000"]]


def test_a_table_with_coloured_cells_is_a_heatmap() -> None:
    cells = {"custom": {"displayMode": "color-background-solid"}}
    drawn = figure(show("table", [{"Day": "Mon", "00": 0, "01": 5}], defaults=cells))
    assert drawn["data"][0]["type"] == "heatmap"
    assert drawn["data"][0]["z"] == [[0, 5]]


def test_level_bars_and_shares() -> None:
    bars = figure(show("bargauge", [{"a": 4, "b": 2}], options=REDUCED))
    assert (bars["data"][0]["y"], bars["data"][0]["text"]) == (["a", "b"], ["4", "2"])
    pie = figure(show("piechart", [{"a": 4, "b": 0}], options=REDUCED | {"pieType": "donut"}))
    assert pie["data"][0]["labels"] == ["a"]
    options = {"xField": "Hour", "orientation": "horizontal", "stacking": "none"}
    level = figure(show("barchart", [{"Hour": "<b>", "n": 1}], options=options))
    assert (level["data"][0]["orientation"], level["data"][0]["y"]) == ("h", ["&lt;b>"])


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("timeseries", []), ("timeseries", [{"time": FROM, "n": 0}]), ("table", []), ("bargauge", [{"a": 0}]),
        ("piechart", [{"a": 0}]), ("barchart", [{"x": "a", "n": None}]), ("stat", []),
    ],
)  # fmt: skip
def test_nothing_is_said_to_be_nothing(kind: str, rows: list[dict[str, Any]]) -> None:
    options = REDUCED | {"xField": "x", "pieType": "pie", "orientation": "auto", "stacking": "none"}
    assert show(kind, rows, options=options).view == "empty"


def test_more_rows_than_can_be_shown_are_cut_off() -> None:
    view = show("table", [{"n": n} for n in range(101)])
    assert (len(view.rows), view.cut) == (100, True)


@pytest.mark.parametrize("changed", [{"kind": "geomap"}, {"defaults": {"unit": "furlong"}}])
def test_what_is_not_known_is_a_fault(changed: dict[str, Any]) -> None:
    with pytest.raises(TemplateUnknown):
        show(**({"kind": "table", "rows": [{"n": 1}]} | changed))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"), (0.25, "s", "250 ms"), (59.6, "s", "1 min 00 s"), (3661, "s", "1 h 01 min"),
        (90_000, "s", "1.0 d"), (999, "ms", "999 ms"), (1500, "ms", "1.5 s"), (1234, "short", "1.2 K"),
        (3_400_000, "short", "3.4 M"), (12, "short", "12"), (4.166, "none", "4.17"), (5, "percent", "5.0 %"),
    ],
)  # fmt: skip
def test_units_are_written_out(value: float, unit: str, text: str) -> None:
    assert write_value(value, Field(unit=unit), ZONE) == text
