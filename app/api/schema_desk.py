"""Make, change and delete event schemas, and have them published.

Called by `app.api.schemas` once it is known whose schemas the caller may keep.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.dispatch import Dispatcher
from app.api.idempotency import CREATED, Idempotency, make_once
from app.api.pages import Page, decode_cursor, page_of
from provisioning.audit import Actor
from provisioning.operations import OperationView
from provisioning.schemas.publication import request_publication
from provisioning.schemas.store import (
    NewSchema,
    SchemaView,
    VersionView,
    change_schema,
    create_schema,
    delete_schema,
    get_schema,
    list_schemas,
)
from tenants.clock import Clock
from tenants.control import ControlPlane


class KeptSchema(SchemaView, frozen=True, kw_only=True):
    """An event schema with the operation that makes its views and dashboards."""

    operation_id: Annotated[UUID, Meta(description="The operation that publishes it.")]


class WholeSchema(SchemaView, frozen=True, kw_only=True):
    """An event schema with its versions; `properties` and `views` are those of the `version` that was asked for."""

    versions: list[VersionView]


class SchemaDesk:
    """Does what one caller asks about a client's schemas."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        clock: NamedDependency[Clock],
        actor: NamedDependency[Actor],
        dispatcher: NamedDependency[Dispatcher],
    ) -> None:
        self._control = control
        self._clock = clock
        self._actor = actor
        self._dispatcher = dispatcher

    async def list(self, client_id: str, limit: int, cursor: str | None) -> Page[SchemaView]:
        """Show a page of schemas, oldest first."""
        after = decode_cursor(cursor, tuple[datetime, UUID])
        async with self._control.session() as session:
            rows = await list_schemas(session, client_id, limit=limit + 1, after=after)
        return page_of(rows, limit, show=lambda row: row, key=lambda row: (row.created_at, row.id))

    async def get(self, client_id: str, schema_id: UUID, version: int | None = None) -> WholeSchema:
        """Show a schema, or an earlier version of it.

        Errors: NotFound.
        """
        async with self._control.session() as session:
            view, versions = await get_schema(session, client_id, schema_id, version=version)
        return WholeSchema(**msgspec.structs.asdict(view), versions=versions)

    async def create(self, client_id: str, new: NewSchema, idempotency: Idempotency) -> Response[KeptSchema]:
        """Make a schema, once for each Idempotency-Key.

        Errors: InputRefused, AlreadyTaken, WrongState.
        """

        async def make(session: AsyncSession) -> KeptSchema:
            view = await create_schema(session, client_id, new, self._actor, now=self._clock())
            return await self._order(session, client_id, view)

        async with self._control.session() as session:
            kept, is_new = await make_once(session, idempotency, KeptSchema, make)
        return Response(await self._publish(client_id, kept) if is_new else kept, status_code=CREATED)

    async def change(self, client_id: str, schema_id: UUID, new: NewSchema, *, force: bool) -> KeptSchema:
        """Give a schema another definition.

        Errors: NotFound, InputRefused, IncompatibleSchema, WrongState.
        """
        async with self._control.session() as session:
            view = await change_schema(session, client_id, schema_id, new, self._actor, now=self._clock(), force=force)
            kept = await self._order(session, client_id, view)
        return await self._publish(client_id, kept)

    async def delete(self, client_id: str, schema_id: UUID, *, cascade: bool) -> Response[OperationView]:
        """Delete a schema, and answer with the operation that takes its views and dashboard away.

        Errors: NotFound, WrongState.
        """
        async with self._control.session() as session:
            await delete_schema(session, client_id, schema_id, self._actor, now=self._clock(), cascade=cascade)
            operation_id = await request_publication(session, client_id, self._actor)
        return await self._dispatcher.answer(operation_id)

    async def _order(self, session: AsyncSession, client_id: str, view: SchemaView) -> KeptSchema:
        operation_id = await request_publication(session, client_id, self._actor)
        return KeptSchema(**msgspec.structs.asdict(view), operation_id=operation_id)

    async def _publish(self, client_id: str, kept: KeptSchema) -> KeptSchema:
        """Have it published, and tell of which version that is by now; the schema stands whatever comes of it."""
        ended = await self._dispatcher.settle(kept.operation_id)
        if not ended.finished:
            return kept
        async with self._control.session() as session:
            view, _ = await get_schema(session, client_id, kept.id)
        return msgspec.structs.replace(kept, published=view.published)
