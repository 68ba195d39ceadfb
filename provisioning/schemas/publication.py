"""Make a client's event schemas into views and dashboards: operation `schemas.publish`.

Ordered by whoever changes a schema. It brings everything to what the schemas say now, so that it may run any number of
times, late, and for several changes at once.
"""

import uuid

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor
from provisioning.grafana.schemas import follow_schemas
from provisioning.operations import NewOperation, add_operation, find_open_operation
from provisioning.schemas.views import ensure_views
from provisioning.work import Step, Work, undo_nothing
from tenants.ids import TenantId
from tenants.models import EventSchemaRow, Operation
from tenants.registry import Registry
from tenants.revocations import revoke

PUBLISH = "schemas.publish"


async def publish_views(work: Work) -> str:
    """Have a view per event type, and note of which versions they are, so that dashboards are shown."""
    place = await work.get_place()
    async with work.control.session() as session:
        registry = Registry(work.control, vault=work.vault, main_url=work.main_url)
        schemas = (await registry.load(session, TenantId(work.client_id))).schemas
    async with work.in_database(place) as connection:
        told = await ensure_views(connection, work.placement(place), schemas)
    async with work.control.session() as session:
        for schema in schemas.values():
            query = update(EventSchemaRow).where(EventSchemaRow.id == schema.id)
            await session.execute(query.values(published=schema.version))
        revoke(session, "client", work.client_id)
    return told


async def request_publication(session: AsyncSession, client_id: str, actor: Actor) -> uuid.UUID:
    """Store the intent to publish a client's schemas as they are when this transaction commits.

    Shape: an operation that has not begun yet will see them, and is returned instead.
    """
    found = await find_open_operation(session, client_id, PUBLISH)
    if found is not None:
        query = select(Operation.attempts).where(Operation.id == found).with_for_update()
        if await session.scalar(query) == 0:
            return found
    order = NewOperation(kind=PUBLISH, client_id=client_id, steps=[step.name for step in PUBLICATION])
    operation_id = add_operation(session, order, actor)
    await session.flush()
    return operation_id


PUBLICATION = (
    Step("schema_views", publish_views, undo_nothing),
    Step("grafana_dashboards", follow_schemas, undo_nothing),
)
