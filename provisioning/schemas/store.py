"""Keep event schemas: create, list, read, change by new versions, delete.

Called by the routes. What changes is told to every process by a revocation, and made into views and dashboards by an
operation: call `RevocationFeed.announce()` after the transaction.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.adaptors.store import adaptors_of_schema, delete_adaptor
from provisioning.audit import Actor, record
from provisioning.clients import lock_kept_client
from provisioning.listing import Place, oldest_first
from provisioning.schemas.definition import Fault, breaks, schema_faults, view_faults
from provisioning.schemas.names import name_key, view_name
from tenants.errors import AlreadyTaken, IncompatibleSchema, InputRefused, NotFound, WrongState
from tenants.models import EventSchemaRow, EventSchemaVersion
from tenants.revocations import revoke
from tenants.schemas import Definition

MAX_SCHEMAS = 100
MAX_VERSIONS = 200


class NewSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event schema as it should be."""

    name: Annotated[str, Meta(description="What events name as their `schema`.", examples=["shop"])]
    description: str = ""
    properties: Annotated[
        dict[str, dict[str, str]],
        Meta(
            description="By event type, what each field of its `properties` holds: string, number, boolean, array, "
            "object or datetime (RFC 3339 with an offset). Fields may be missing or null, and there may be others.",
            examples=[{"purchase": {"order_id": "string", "total": "number", "paid_at": "datetime"}}],
        ),
    ]


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version that a schema has or had."""

    version: int
    breaking: Annotated[bool, Meta(description="Whether it was forced against what relied on the one before.")]
    created_at: datetime


class SchemaView(msgspec.Struct, frozen=True, kw_only=True):
    """An event schema."""

    id: uuid.UUID
    name: str
    description: str
    version: Annotated[int, Meta(description="The version that counts for events that name none.")]
    properties: Definition
    views: Annotated[dict[str, str], Meta(description="The view of each event type, in SQL and Grafana.")]
    published: Annotated[int | None, Meta(description="The version that the views and dashboards are of by now.")]
    created_at: datetime
    updated_at: datetime


async def create_schema(
    session: AsyncSession, client_id: str, new: NewSchema, actor: Actor, *, now: datetime
) -> SchemaView:
    """Make a schema, version 1.

    Errors: InputRefused with a pointer per fault; AlreadyTaken (`/name`); NotFound without the client; WrongState while
    it is being deleted, or has too many schemas.
    """
    await lock_kept_client(session, client_id)
    others = await _definitions(session, client_id)
    definition = _check(new)
    if name_key(new.name) in map(name_key, others):
        raise AlreadyTaken("The client has a schema of this name, or of one too much like it.", field="/name")
    _check_views(new, others)
    if len(others) >= MAX_SCHEMAS:
        raise WrongState(f"A client has {MAX_SCHEMAS} schemas at most.")
    row = EventSchemaRow(
        id=uuid.uuid4(), client_id=client_id, name=new.name, key=name_key(new.name), description=new.description,
        version=1, published=None, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    session.add(_version(row, definition, breaking=False))
    await _tell(session, actor, "schema.create", row)
    return _view(row, definition)


async def change_schema(
    session: AsyncSession, client_id: str, schema_id: uuid.UUID, new: NewSchema, actor: Actor, *, now: datetime,
    force: bool = False,
) -> SchemaView:  # fmt: skip
    """Give a schema another definition as its next version, unless that is the one it has.

    Errors: as `create_schema`; IncompatibleSchema with a pointer per break, unless it is forced.
    """
    await lock_kept_client(session, client_id)
    row, old = await _get(session, client_id, schema_id)
    if new.name != row.name:
        detail = f"A schema keeps its name, which events bear: this one is `{row.name}`."
        raise InputRefused(detail, field="/name", code="name_is_kept")
    others = await _definitions(session, client_id)
    del others[row.name]
    definition = _check(new)
    _check_views(new, others)
    broken = list(breaks(old, definition))
    if broken and not force:
        raise IncompatibleSchema(broken)
    if old == definition and row.description == new.description:
        return _view(row, old)
    row.description, row.updated_at = new.description, now
    if old != definition:
        if row.version >= MAX_VERSIONS:
            raise WrongState(f"A schema has {MAX_VERSIONS} versions at most.")
        row.version += 1
        session.add(_version(row, definition, breaking=bool(broken)))
    await _tell(session, actor, "schema.change", row, breaking=bool(broken))
    return _view(row, definition)


async def delete_schema(
    session: AsyncSession, client_id: str, schema_id: uuid.UUID, actor: Actor, *, now: datetime, cascade: bool = False
) -> None:
    """Delete a schema with all its versions and, if asked, the adaptors that use it; events that were stored stay.

    Errors: NotFound; WrongState while adaptors use it.
    """
    await lock_kept_client(session, client_id)
    row, _ = await _get(session, client_id, schema_id)
    users = await adaptors_of_schema(session, schema_id)
    if users and not cascade:
        names = ", ".join(f"“{user.name}”" for user in users)
        raise WrongState(f"Adaptors use the schema: {names}. Say `cascade` to delete them, too.")
    for user in users:
        await delete_adaptor(session, client_id, user.id, actor, now=now)
    await session.delete(row)
    await _tell(session, actor, "schema.delete", row)


async def list_schemas(
    session: AsyncSession, client_id: str, *, limit: int, after: Place | None = None
) -> list[SchemaView]:
    """Read a client's schemas, oldest first, from the one after (created_at, id) on."""
    query = _current().where(EventSchemaRow.client_id == client_id)
    page = oldest_first(query, EventSchemaRow.created_at, EventSchemaRow.id, limit=limit, after=after)
    rows = await session.execute(page)
    return [_view(row, _definition(kept)) for row, kept in rows]


async def get_schema(
    session: AsyncSession, client_id: str, schema_id: uuid.UUID, *, version: int | None = None
) -> tuple[SchemaView, list[VersionView]]:
    """Read a schema, or an earlier version of it, and what versions there are.

    Errors: NotFound, also for another client's, or a version that there never was.
    """
    row, definition = await _get(session, client_id, schema_id)
    query = select(EventSchemaVersion).where(EventSchemaVersion.schema_id == schema_id)
    kept = {each.version: each for each in await session.scalars(query.order_by(EventSchemaVersion.version))}
    if version is not None:
        if version not in kept:
            raise NotFound("There is no such version of the schema.")
        definition = _definition(kept[version])
    versions = [
        VersionView(version=each.version, breaking=each.breaking, created_at=each.created_at) for each in kept.values()
    ]
    return _view(row, definition, version), versions


def _check(new: NewSchema) -> Definition:
    _refuse(schema_faults(new.name, new.description, new.properties))
    return msgspec.convert(new.properties, Definition)


def _check_views(new: NewSchema, others: dict[str, Definition]) -> None:
    _refuse(view_faults(new.name, new.properties, others))


def _refuse(faults: Iterable[Fault]) -> None:
    found = [*faults]
    if found:
        raise InputRefused("The schema cannot be like this.", errors=found)


async def _definitions(session: AsyncSession, client_id: str) -> dict[str, Definition]:
    rows = await session.execute(_current().where(EventSchemaRow.client_id == client_id))
    return {row.name: _definition(kept) for row, kept in rows}


async def _get(session: AsyncSession, client_id: str, schema_id: uuid.UUID) -> tuple[EventSchemaRow, Definition]:
    query = _current().where(EventSchemaRow.id == schema_id, EventSchemaRow.client_id == client_id)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise NotFound("No such schema.")
    return found[0], _definition(found[1])


def _current() -> Any:
    return select(EventSchemaRow, EventSchemaVersion).join(
        EventSchemaVersion,
        (EventSchemaVersion.schema_id == EventSchemaRow.id) & (EventSchemaVersion.version == EventSchemaRow.version),
    )


def _definition(kept: EventSchemaVersion) -> Definition:
    return msgspec.convert(kept.definition, Definition)


def _version(row: EventSchemaRow, definition: Definition, *, breaking: bool) -> EventSchemaVersion:
    return EventSchemaVersion(
        schema_id=row.id, version=row.version, definition=msgspec.to_builtins(definition), breaking=breaking,
        created_at=row.updated_at,
    )  # fmt: skip


async def _tell(session: AsyncSession, actor: Actor, action: str, row: EventSchemaRow, **detail: object) -> None:
    revoke(session, "client", row.client_id)
    record(session, actor, action, row.client_id, schema_id=str(row.id), name=row.name, version=row.version, **detail)
    await session.flush()


def _view(row: EventSchemaRow, definition: Definition, version: int | None = None) -> SchemaView:
    return SchemaView(
        id=row.id, name=row.name, description=row.description, version=version or row.version, properties=definition,
        views={event_type: view_name(row.name, event_type) for event_type in definition}, published=row.published,
        created_at=row.created_at, updated_at=row.updated_at,
    )  # fmt: skip
