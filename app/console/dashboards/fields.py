"""How a panel shows a field: unit, decimals and colour, from its defaults and overrides. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.console.dashboards.macros import TemplateUnknown

UNITS = frozenset({"none", "locale", "short", "percent", "s", "ms"})
_MATCHER = "byName"
_SHORT = ((1e9, " B"), (1e6, " M"), (1e3, " K"))
_DAY_HOURS, _SECOND_MS = 24, 1000
NOTHING = "\N{EN DASH}"


class Field(msgspec.Struct, frozen=True):
    """How the values of one column are shown. `colour` is None where the palette decides; `cells` of a table."""

    unit: str = "none"
    decimals: int | None = None
    colour: str | None = None
    cells: str = "auto"


def field_of(panel: Mapping[str, Any], name: str) -> Field:
    """Read the configuration of a field.

    Errors: TemplateUnknown.
    """
    config = panel["fieldConfig"]
    defaults = config["defaults"]
    found: dict[str, Any] = {name: defaults[name] for name in ("unit", "decimals", "color") if name in defaults}
    found["custom.displayMode"] = defaults.get("custom", {}).get("displayMode", "auto")
    for override in config["overrides"]:
        if override["matcher"]["id"] != _MATCHER:
            raise TemplateUnknown(f"the matcher {override['matcher']['id']}")
        if override["matcher"]["options"] == name:
            found |= {each["id"]: each["value"] for each in override["properties"]}
    unit = found.get("unit", "none")
    if unit not in UNITS:
        raise TemplateUnknown(f"the unit {unit}")
    colour = found.get("color", {})
    return Field(
        unit=unit,
        decimals=found.get("decimals"),
        colour=colour["fixedColor"] if colour.get("mode") == "fixed" else None,
        cells=found["custom.displayMode"],
    )


def colour_columns(panel: Mapping[str, Any], names: Sequence[str], palette: Sequence[str]) -> list[str]:
    """Give each of several fields a colour: its own, else one of the palette by its place."""
    return [field_of(panel, name).colour or palette[place % len(palette)] for place, name in enumerate(names)]


def write_value(value: Any, field: Field, zone: ZoneInfo) -> str:
    """Write a value for people; nothing is a dash. Times are in the zone."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, str):
        return value
    return _UNITS[field.unit](float(value), field.decimals)


def _number(value: float, decimals: int | None) -> str:
    if decimals is None:
        decimals = 0 if value == int(value) else 2
    return f"{value:,.{decimals}f}"


def _shortened(value: float, decimals: int | None) -> str:
    for size, letter in _SHORT:
        if abs(value) >= size:
            return f"{value / size:,.{1 if decimals is None else decimals}f}{letter}"
    return _number(value, decimals)


def _seconds(value: float, _decimals: int | None = None) -> str:
    if 0 < abs(value) < 1:
        return f"{value * 1000:.0f} ms"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= _DAY_HOURS:
        return f"{hours / _DAY_HOURS:,.1f} d"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _milliseconds(value: float, _decimals: int | None) -> str:
    return f"{value:.0f} ms" if abs(value) < _SECOND_MS else f"{value / _SECOND_MS:,.1f} s"


def _percent(value: float, decimals: int | None) -> str:
    return f"{value:,.{1 if decimals is None else decimals}f} %"


_UNITS: Mapping[str, Callable[[float, int | None], str]] = {
    "none": _number,
    "locale": _number,
    "short": _shortened,
    "percent": _percent,
    "s": _seconds,
    "ms": _milliseconds,
}
