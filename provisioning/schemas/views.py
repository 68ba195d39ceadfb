"""The views of a client's event schemas: one per event type, a typed column per field.

Step of `provisioning.schemas.publication`. What has no place in its column's type is null, and never fails a query. A
view tells nothing that `events` does not tell whoever may read it.
"""

import hashlib

import asyncpg

from provisioning.schemas.names import COLUMNS, column_name, view_name
from provisioning.sqltext import literal
from tenants.ids import quote
from tenants.placement import Placement
from tenants.schemas import EventSchema, FieldType, Schemas

# Marks a view as ours and tells what it was made from, so that only what differs is made anew.
_MARK = "grove event view "
_MINE = """
SELECT c.relname AS name, pg_catalog.obj_description(c.oid, 'pg_class') AS mark
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind = 'v' AND pg_catalog.obj_description(c.oid, 'pg_class') LIKE $2
"""
# RFC 3339, within the years that every reader can show; whether the month has such a day is asked beside it.
_TIME = (
    "^[1-8][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    "([.][0-9]+)?([Zz]|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
)
_LAST_DAY = "extract(day FROM make_date(left({0}, 4)::int, substr({0}, 6, 2)::int, 1) + interval '1 month - 1 day')"
_TYPED = {
    FieldType.STRING: "{0}",
    FieldType.NUMBER: "CASE jsonb_typeof({1}) WHEN 'number' THEN ({1})::numeric END",
    FieldType.BOOLEAN: "CASE jsonb_typeof({1}) WHEN 'boolean' THEN ({1})::boolean END",
    FieldType.ARRAY: "CASE jsonb_typeof({1}) WHEN 'array' THEN {1} END",
    FieldType.OBJECT: "CASE jsonb_typeof({1}) WHEN 'object' THEN {1} END",
    FieldType.DATETIME: f"CASE WHEN CASE WHEN {{0}} ~ '{_TIME.replace('{', '{{').replace('}', '}}')}' "
    f"THEN substr({{0}}, 9, 2)::int <= {_LAST_DAY} END THEN ({{0}})::timestamptz END",
}


def view_definitions(placement: Placement, schemas: Schemas) -> dict[str, str]:
    """Write the statement behind each view that a client should have, by its name."""
    return {
        view_name(schema.name, event_type): _define(placement, schema, event_type)
        for schema in schemas.values()
        for event_type in schema.versions[schema.version]
    }


async def ensure_views(connection: asyncpg.Connection, placement: Placement, schemas: Schemas) -> str:
    """Give a client the views of the current version of its schemas, and take away those of others.

    Shape: all or nothing, under the client's owner role.
    """
    wanted = view_definitions(placement, schemas)
    async with connection.transaction():
        found = {row["name"]: row["mark"] for row in await connection.fetch(_MINE, placement.schema, f"{_MARK}%")}
        await connection.execute(f"SET LOCAL ROLE {quote(placement.owner_role)}")
        stale = [name for name, mark in found.items() if name not in wanted or mark != _mark(wanted[name])]
        missing = [name for name in wanted if name in stale or name not in found]
        for name in stale:
            await connection.execute(f"DROP VIEW {_qualified(placement, name)}")
        for name in missing:
            await connection.execute(_create(placement, name, wanted[name]))
    return f"{len(wanted)} views, {len(missing)} made, {len(stale)} taken away"


def _define(placement: Placement, schema: EventSchema, event_type: str) -> str:
    columns = [*COLUMNS, *(_column(field, kind) for field, kind in schema.versions[schema.version][event_type].items())]
    return (
        f"SELECT {', '.join(columns)} FROM {quote(placement.schema)}.events "  # noqa: S608 - quoted, or literals
        f"WHERE schema_name = {literal(schema.name)} AND name = {literal(event_type)}"
    )


def _column(field: str, kind: FieldType) -> str:
    text, value = f"properties ->> {literal(field)}", f"properties -> {literal(field)}"
    return f"{_TYPED[kind].format(f'({text})', f'({value})')} AS {quote(column_name(field))}"


def _create(placement: Placement, name: str, statement: str) -> str:
    view = _qualified(placement, name)
    readers = f"{quote(placement.reader_role)}, {quote(placement.login_role)}"
    return (
        f"CREATE VIEW {view} AS {statement}; COMMENT ON VIEW {view} IS {literal(_mark(statement))}; "
        f"GRANT SELECT ON {view} TO {readers}"
    )


def _mark(statement: str) -> str:
    return _MARK + hashlib.sha256(statement.encode()).hexdigest()


def _qualified(placement: Placement, name: str) -> str:
    return f"{quote(placement.schema)}.{quote(name)}"
