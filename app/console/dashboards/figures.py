"""Panels that are drawings, as Plotly figures. Pure; called by `app.console.dashboards.panels`.

Shape: a figure is `{"data": [traces], "layout": {…}}` as plotly.js takes it. It knows no zones, so times are written
as the wall clock of the client's zone.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from app.console.dashboards.fields import Field, colour_columns, field_of, write_value
from app.console.dashboards.frames import Column, Frame, series_of
from app.query.spec import Period

Figure = dict[str, Any]
Panel = Mapping[str, Any]

INK, SOFT, LINE = "#0f172a", "#566275", "#e6eaf0"
_FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12, "color": SOFT}
# Counts up to here get a line for each.
_FEW = 6
_SUFFIXES = {"percent": " %", "s": " s", "ms": " ms"}


class Look(msgspec.Struct, frozen=True):
    """Colours, the client's own first, and the period that is looked at."""

    palette: list[str]
    period: Period


def draw_timeseries(panel: Panel, frame: Frame, look: Look) -> Figure | None:
    """Draw lines or bars over time."""
    frame = series_of(frame)
    time = frame.first("time")
    if time is None or not _tells(frame):
        return None
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    moments = [_wall(at, look) for at in time.values]
    colours = colour_columns(panel, [column.name for column in frame.numbers], look.palette)
    draw = _bars if custom.get("drawStyle") == "bars" else _line
    data = [
        draw(column, moments, colour, custom, field_of(panel, column.name), look)
        for column, colour in zip(frame.numbers, colours, strict=True)
    ]
    edges = [moments[0], _wall(look.period.from_at, look), _wall(look.period.to_at, look)]
    layout = _layout(legend=panel["options"]["legend"]["showLegend"])
    layout |= {
        "hovermode": "x unified",
        "barmode": "stack" if custom.get("stacking", {}).get("mode") == "normal" else "group",
        "xaxis": _axis() | {"type": "date", "range": [min(edges), max(edges)], "showgrid": False},
        "yaxis": _axis() | _values_axis(panel, frame),
    }
    return {"data": data, "layout": layout}


def draw_barchart(panel: Panel, frame: Frame, look: Look) -> Figure | None:
    """Draw a bar, or a group of them, per row."""
    options = panel["options"]
    names = next((column for column in frame.columns if column.name == options["xField"]), None)
    if names is None or not _tells(frame):
        return None
    level = options["orientation"] == "horizontal"
    colours = colour_columns(panel, [column.name for column in frame.numbers], look.palette)
    data = [
        _bar(
            column,
            [_escape(str(name)) for name in names.values],
            colour,
            field_of(panel, column.name),
            look,
            level=level,
        )
        for column, colour in zip(frame.numbers, colours, strict=True)
    ]
    values = _axis() | _values_axis(panel, frame)
    categories = _axis() | {"type": "category", "showgrid": False}
    layout = _layout(legend=options["legend"]["showLegend"])
    layout["barmode"] = "stack" if options["stacking"] == "normal" else "group"
    if level:
        layout |= {"xaxis": values, "yaxis": categories | {"autorange": "reversed"}}
    else:
        layout |= {"xaxis": categories | {"dtick": 1}, "yaxis": values}
    return {"data": data, "layout": layout}


def draw_bargauge(panel: Panel, frame: Frame, look: Look) -> Figure | None:
    """Draw one level bar per value, with the value beside it."""
    named = reduce_frame(panel, frame)
    if not any(value for _, value in named):
        return None
    names = [name for name, _ in named]
    labels = [_escape(name) for name in names]
    values = [value or 0 for _, value in named]
    texts = [write_value(value, field_of(panel, name), look.period.zone) for name, value in named]
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": labels,
        "text": texts,
        "textposition": "outside",
        "textfont": {"color": INK, "size": 13},
        "cliponaxis": False,
        "marker": {"color": colour_columns(panel, names, look.palette)},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = _layout(legend=False) | {
        "bargap": 0.35,
        "xaxis": {"visible": False, "range": [0, (max(values) or 1) * 1.15], "fixedrange": True},
        "yaxis": _axis() | {"autorange": "reversed", "showgrid": False, "ticksuffix": "  "},
    }
    return {"data": [bar], "layout": layout}


def draw_piechart(panel: Panel, frame: Frame, look: Look) -> Figure | None:
    """Draw shares of a whole."""
    named = [(name, value) for name, value in reduce_frame(panel, frame) if value]
    if not named:
        return None
    names = [name for name, _ in named]
    pie = {
        "type": "pie",
        "hole": 0.55 if panel["options"]["pieType"] == "donut" else 0,
        "labels": [_escape(name) for name in names],
        "values": [value for _, value in named],
        "marker": {"colors": colour_columns(panel, names, look.palette), "line": {"color": "#ffffff", "width": 1}},
        "sort": False,
        "direction": "clockwise",
        "textinfo": "percent",
        "textposition": "inside",
        "insidetextorientation": "horizontal",
        "hovertemplate": "%{label}: %{value:,} (%{percent})<extra></extra>",
    }
    layout = _layout(legend=True)
    layout["legend"] = {"orientation": "h", "y": -0.05, "x": 0.5, "xanchor": "center", "yanchor": "top"}
    return {"data": [pie], "layout": layout}


def draw_heatmap(_panel: Panel, frame: Frame, look: Look) -> Figure | None:
    """Draw a table whose cells are coloured by their value: rows by its text, columns by its numbers."""
    rows = frame.first("text")
    if rows is None or not _tells(frame):
        return None
    cells = [[column.values[row] for column in frame.numbers] for row in range(len(rows.values))]
    heat = {
        "type": "heatmap",
        "x": [column.name for column in frame.numbers],
        "y": [_escape(str(name)) for name in rows.values],
        "z": cells,
        "xgap": 2,
        "ygap": 2,
        "zmin": 0,
        "colorscale": [[0, "#f1f4f8"], [1, look.palette[0]]],
        "colorbar": {"thickness": 10, "outlinewidth": 0, "len": 0.9, "tickformat": ",d"},
        "hovertemplate": "%{y} %{x}:00: %{z:,}<extra></extra>",
    }
    layout = _layout(legend=False) | {
        "xaxis": _axis() | {"type": "category", "showgrid": False, "dtick": 1},
        "yaxis": _axis() | {"type": "category", "autorange": "reversed", "showgrid": False},
    }
    return {"data": [heat], "layout": layout}


def reduce_frame(panel: Panel, frame: Frame) -> list[tuple[str, Any]]:
    """Make named values of a frame: of each row, or of each column its last one."""
    if not panel["options"]["reduceOptions"]["values"]:
        return [(column.name, column.last) for column in frame.numbers]
    names = frame.first("text")
    if names is None or not frame.numbers:
        return []
    return [(str(name), value) for name, value in zip(names.values, frame.numbers[0].values, strict=True)]


def _line(
    column: Column, moments: list[str], colour: str, custom: Mapping[str, Any], field: Field, look: Look
) -> Figure:
    opacity = custom.get("fillOpacity", 0)
    trace: Figure = {
        "type": "scatter",
        # A single moment is no line.
        "mode": "lines" if len(moments) > 1 else "markers",
        "name": _escape(column.name),
        "x": moments,
        "y": column.values,
        "line": {"color": colour, "width": custom.get("lineWidth", 1)},
        "connectgaps": bool(custom.get("spanNulls", False)),
    }
    if opacity:
        trace |= {"fill": "tozeroy", "fillcolor": colour + f"{round(opacity * 2.55):02x}"}
    return trace | _hover(column, field, look)


def _bars(
    column: Column, moments: list[str], colour: str, custom: Mapping[str, Any], field: Field, look: Look
) -> Figure:
    opacity = max(custom.get("fillOpacity", 100), 1) / 100
    bars = {"type": "bar", "name": _escape(column.name), "x": moments, "y": column.values}
    return bars | {"marker": {"color": colour, "opacity": opacity}} | _hover(column, field, look)


def _bar(column: Column, names: list[Any], colour: str, field: Field, look: Look, *, level: bool) -> Figure:
    texts = {"text": [write_value(value, field, look.period.zone) for value in column.values], "textposition": "none"}
    along = {"orientation": "h", "y": names, "x": column.values} if level else {"x": names, "y": column.values}
    hover = {"hovertemplate": f"%{{{'y' if level else 'x'}}}: %{{text}}<extra>{_escape(column.name)}</extra>"}
    return {"type": "bar", "name": _escape(column.name), "marker": {"color": colour}} | along | texts | hover


def _hover(column: Column, field: Field, look: Look) -> Figure:
    texts = [write_value(value, field, look.period.zone) for value in column.values]
    return {"customdata": texts, "hovertemplate": f"{_escape(column.name)}: %{{customdata}}<extra></extra>"}


def _escape(text: str) -> str:
    """Keep what plotly.js would take for markup from being it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def _axis() -> Figure:
    return {"gridcolor": LINE, "zeroline": False, "linecolor": LINE, "fixedrange": True, "automargin": True}


def _tells(frame: Frame) -> bool:
    """Tell whether there is anything to see: a drawing of zeros alone looks as if it were broken."""
    return any(any(column.values) for column in frame.numbers)


def _values_axis(panel: Panel, frame: Frame) -> Figure:
    unit = field_of(panel, frame.numbers[0].name).unit
    values = [value for column in frame.numbers for value in column.values if value is not None]
    axis: Figure = {
        "ticksuffix": _SUFFIXES.get(unit, ""),
        "rangemode": "tozero",
        "nticks": 6,
        "separatethousands": True,
    }
    if max(values) < _FEW and all(value == int(value) for value in values):
        axis["dtick"] = 1
    return axis | {"exponentformat": "SI" if unit == "short" else "none"}


def _layout(*, legend: bool) -> Figure:
    return {
        "font": _FONT,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8, "autoexpand": True},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": -0.15, "yanchor": "top", "traceorder": "normal"},
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": LINE, "font": {"color": INK}},
        "separators": ".,",
    }


def _wall(at: datetime, look: Look) -> str:
    return at.astimezone(look.period.zone).replace(tzinfo=None).isoformat(timespec="seconds")
