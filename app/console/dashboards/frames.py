"""Rows of a query as columns that know what they hold, as Grafana's panels see them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

Kind = Literal["time", "number", "text"]


class Column(msgspec.Struct, frozen=True):
    """A column. `values` are datetimes (aware), numbers or texts, and None."""

    name: str
    kind: Kind
    values: list[Any]

    @property
    def last(self) -> Any:
        """The last value that is not null, as Grafana reduces a column to one."""
        return next((value for value in reversed(self.values) if value is not None), None)


class Frame(msgspec.Struct, frozen=True):
    """The answer to a query; without rows there are no columns either. `cut` tells that rows were left out."""

    columns: list[Column]
    cut: bool = False

    @property
    def numbers(self) -> list[Column]:
        """The columns that hold numbers."""
        return [column for column in self.columns if column.kind == "number"]

    def first(self, kind: Kind) -> Column | None:
        """Find the first column of a kind."""
        return next((column for column in self.columns if column.kind == kind), None)


def make_frame(rows: Sequence[Mapping[str, Any]], most: int) -> Frame:
    """Turn rows into columns; more than `most` are cut off."""
    kept = rows[:most]
    names = list(kept[0].keys()) if kept else []
    return Frame([_column(name, [row[name] for row in kept]) for name in names], cut=len(rows) > most)


def series_of(frame: Frame) -> Frame:
    """Bring a time series into the wide form: where a text names the series, each gets a column."""
    time, name = frame.first("time"), frame.first("text")
    if time is None or name is None:
        return frame
    instants = list(dict.fromkeys(time.values))
    place = {at: index for index, at in enumerate(instants)}
    columns: dict[str, list[Any]] = {}
    for number in frame.numbers:
        for at, series, value in zip(time.values, name.values, number.values, strict=True):
            columns.setdefault(str(series), [None] * len(instants))[place[at]] = value
    wide = [Column(series, "number", values) for series, values in columns.items()]
    return Frame([Column(time.name, "time", instants), *wide], cut=frame.cut)


def _column(name: str, values: list[Any]) -> Column:
    found = next((value for value in values if value is not None), None)
    if isinstance(found, datetime):
        return Column(name, "time", values)
    if isinstance(found, int | float | Decimal) and not isinstance(found, bool):
        return Column(name, "number", [float(value) if isinstance(value, Decimal) else value for value in values])
    return Column(name, "text", [None if value is None else str(value) for value in values])
