"""Turn a panel and the answer to its query into what the page shows: a drawing, values, or a table. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from app.console.dashboards.fields import field_of, write_value
from app.console.dashboards.figures import (
    Figure,
    Look,
    Panel,
    draw_barchart,
    draw_bargauge,
    draw_heatmap,
    draw_piechart,
    draw_timeseries,
    reduce_frame,
)
from app.console.dashboards.frames import Column, Frame
from app.console.dashboards.macros import TemplateUnknown

_HEAT = "color-background-solid"


class Value(msgspec.Struct, frozen=True):
    """A named value, written for people."""

    name: str
    text: str
    colour: str


class Header(msgspec.Struct, frozen=True):
    """A table's column; numbers stand to the right."""

    name: str
    number: bool


class PanelView(msgspec.Struct, frozen=True, kw_only=True):
    """What a panel shows.

    Shape: `view` tells which of the others is filled; `empty` means that there is nothing in the period. `cut` tells
    that only the first rows are shown.
    """

    view: Literal["figure", "values", "table", "empty"]
    figure: Figure | None = None
    values: list[Value] = []
    headers: list[Header] = []
    rows: list[list[str]] = []
    cut: bool = False


def view_panel(panel: Panel, frame: Frame, look: Look) -> PanelView:
    """Show a panel.

    Errors: TemplateUnknown.
    """
    view = _VIEWS.get(panel["type"])
    if view is None:
        raise TemplateUnknown(f"the panel type {panel['type']}")
    return view(panel, frame, look) if frame.columns else PanelView(view="empty")


def _view_figure(draw: Callable[[Panel, Frame, Look], Figure | None]) -> Callable[[Panel, Frame, Look], PanelView]:
    def view(panel: Panel, frame: Frame, look: Look) -> PanelView:
        figure = draw(panel, frame, look)
        return PanelView(view="empty") if figure is None else PanelView(view="figure", figure=figure, cut=frame.cut)

    return view


def _view_stat(panel: Panel, frame: Frame, look: Look) -> PanelView:
    # A column without any value has no type that could be seen, but a place all the same.
    columns = [Column(each.name, "number", each.values) if each.last is None else each for each in frame.columns]
    values = [
        Value(name, write_value(value, field_of(panel, name), look.period.zone), look.palette[0])
        for name, value in reduce_frame(panel, Frame(columns))
    ]
    return PanelView(view="values", values=values)


def _view_table(panel: Panel, frame: Frame, look: Look) -> PanelView:
    fields = {column.name: field_of(panel, column.name) for column in frame.columns}
    if any(field.cells == _HEAT for field in fields.values()):
        return _view_figure(draw_heatmap)(panel, frame, look)
    columns = [
        [write_value(value, fields[column.name], look.period.zone) for value in column.values]
        for column in frame.columns
    ]
    return PanelView(
        view="table",
        headers=[Header(column.name, column.kind == "number") for column in frame.columns],
        rows=[list(row) for row in zip(*columns, strict=True)],
        cut=frame.cut,
    )


_VIEWS: Mapping[str, Callable[[Panel, Frame, Look], PanelView]] = {
    "timeseries": _view_figure(draw_timeseries),
    "barchart": _view_figure(draw_barchart),
    "bargauge": _view_figure(draw_bargauge),
    "piechart": _view_figure(draw_piechart),
    "stat": _view_stat,
    "table": _view_table,
}
PANEL_TYPES = frozenset(_VIEWS)


def find_panel(model: Mapping[str, Any], panel_id: int) -> Panel | None:
    """Find a panel of a dashboard."""
    return next((panel for panel in model["panels"] if panel["id"] == panel_id), None)
