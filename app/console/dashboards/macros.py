"""Expand what Grafana expands in a panel's SQL: its macros, and the dashboard's variables.

Called by `app.console.dashboards.desk`; pure. Only texts of our own are put in: times that we write, and values of
variables that the template lists. What is not known is a fault of the template, found by its tests.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from tenants.errors import InputRefused

MACROS = frozenset({"timeFrom", "timeTo"})
VARIABLE_TYPES = frozenset({"constant", "custom"})

_MACRO = re.compile(r"\$__(\w+)\(\)")
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class TemplateUnknown(Exception):
    """A dashboard uses something that is not drawn here; the message names it."""


class Variable(msgspec.Struct, frozen=True):
    """A variable that a reader may set to one of its options."""

    name: str
    label: str
    value: str
    options: tuple[str, ...]


def read_variables(model: Mapping[str, Any], given: Mapping[str, str]) -> tuple[dict[str, str], list[Variable]]:
    """Give the variables of a dashboard their values.

    Shape: all values by name, and those variables that are shown.
    Errors: InputRefused for a value that is not among the options; TemplateUnknown.
    """
    values, shown = {}, []
    for variable in model["templating"]["list"]:
        name, kind = variable["name"], variable["type"]
        if kind not in VARIABLE_TYPES:
            raise TemplateUnknown(f"a variable of type {kind}")
        options = tuple(option["value"] for option in variable["options"])
        values[name] = variable["query"] if kind == "constant" else given.get(name, variable["current"]["value"])
        if values[name] not in options:
            raise InputRefused(f"Choose one of {', '.join(options)}.", field=f"var-{name}", code="unknown_option")
        if kind == "custom":
            shown.append(Variable(name, variable["label"], values[name], options))
    return values, shown


def expand(sql: str, from_at: datetime, to_at: datetime, variables: Mapping[str, str]) -> str:
    """Write the SQL that Grafana would send for a period.

    Errors: TemplateUnknown.
    """
    bounds = {"timeFrom": _literal(from_at), "timeTo": _literal(to_at)}

    def macro(match: re.Match[str]) -> str:
        if match[1] not in MACROS:
            raise TemplateUnknown(f"the macro {match[0]}")
        return bounds[match[1]]

    def variable(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in variables:
            raise TemplateUnknown(f"the variable {match[0]}")
        return variables[name].replace("'", "''")

    return _VARIABLE.sub(variable, _MACRO.sub(macro, sql))


def _literal(at: datetime) -> str:
    return f"'{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z'"
