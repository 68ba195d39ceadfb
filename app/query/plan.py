"""Put a question's SQL on top of one client's tables, whatever these look like.

Called by `app.query.run`; pure. A question is written once, against the relations of `tenants.relations`; the prelude
made here defines them as CTEs over Grove's own tables or over an attached database's.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tenants.placement import Placement
from tenants.relations import OWN_SHAPE, RELATIONS, ChatTables, source_of
from tenants.sources import SourceShape

# A named value, unless it stands in a quoted name, a string or a comment, or is a cast.
_TOKEN = re.compile(r"""(?P<skip>"(?:[^"]|"")*"|'(?:[^']|'')*'|--[^\n]*|::)|:(?P<name>[a-z_]+)""")


class Statement(msgspec.Struct, frozen=True):
    """SQL with `$1 …` and the values for it, ready to be run."""

    sql: str
    args: tuple[Any, ...]


def plan_question(
    question: str, values: Mapping[str, Any], placement: Placement, shape: SourceShape = OWN_SHAPE
) -> Statement:
    """Write the statement that answers a question for one client.

    Shape: `question` names its values as `:name`; `shape` is what was found at the source of an attached client.
    """
    source = source_of(placement)
    tables = ChatTables(source, shape, ":source_zone::text")
    prelude = ",\n".join(
        f"{relation} AS NOT MATERIALIZED (\n{tables.write(relation)})"
        for relation in RELATIONS
        if re.search(rf"\b{relation}\b", question)
    )
    return bind_values(f"WITH {prelude}\n{question}", {**values, "source_zone": source.timezone})


def bind_values(sql: str, values: Mapping[str, Any]) -> Statement:
    """Turn `:name` into `$1 …`, each name once, in the order of first use."""
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0] if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    text = _TOKEN.sub(number, sql)
    return Statement(text, tuple(values[name] for name in numbers))
