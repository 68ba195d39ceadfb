"""What a client collects, as its export tells it: event schemas with their versions, and adaptors without their keys.

Called by `grove export`, through `portrait`, and by `grove import`; reads and writes the control plane.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from app.transfer.checkpoint import Tally
from provisioning.adaptors.requests import AdaptorRequest
from provisioning.adaptors.store import MAX_ADAPTORS, create_adaptor, list_adaptors
from provisioning.audit import Actor
from provisioning.schemas.store import (
    MAX_SCHEMAS,
    NewSchema,
    change_schema,
    create_schema,
    get_schema,
    list_schemas,
)
from tenants.errors import AlreadyTaken, InputRefused, WrongState
from tenants.vault import Vault

Properties = dict[str, dict[str, str]]


class KeptSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A schema: what each of its versions said, the first one first."""

    name: str
    description: str = ""
    versions: Annotated[list[Properties], Meta(min_length=1)]


class KeptAdaptor(msgspec.Struct, frozen=True, kw_only=True):
    """An adaptor, with its schema's name in place of the id. Its key and its container are made anew."""

    schema: str | None = None
    settings: AdaptorRequest


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What a client collects."""

    schemas: list[KeptSchema] = []
    adaptors: list[KeptAdaptor] = []


class Brought(msgspec.Struct, kw_only=True):
    """What came of it; `refused` says why, one sentence each."""

    schemas: Tally = msgspec.field(default_factory=Tally)
    adaptors: Tally = msgspec.field(default_factory=Tally)
    refused: list[str] = []


async def describe_intake(session: AsyncSession, client_id: str) -> Intake:
    """Read what a client collects; oldest first."""
    schemas, names = [], {}
    for view in await list_schemas(session, client_id, limit=MAX_SCHEMAS):
        _, versions = await get_schema(session, client_id, view.id)
        told = [await get_schema(session, client_id, view.id, version=each.version) for each in versions]
        properties = [msgspec.to_builtins(then.properties) for then, _ in told]
        schemas.append(KeptSchema(name=view.name, description=view.description, versions=properties))
        names[view.id] = view.name
    adaptors = [
        KeptAdaptor(
            schema=None if view.schema_id is None else names[view.schema_id],
            settings=AdaptorRequest(
                name=view.name,
                website_url=view.website_url,
                origins=view.origins[1:],
                privacy=view.privacy,  # type: ignore[arg-type] # one of those that were allowed
                tracking_rules=view.tracking_rules,
                script=view.script,
            ),
        )
        for view in await list_adaptors(session, client_id, limit=MAX_ADAPTORS)
    ]
    return Intake(schemas=schemas, adaptors=adaptors)


async def bring_in(
    session: AsyncSession, client_id: str, found: Intake, actor: Actor, *, now: datetime, vault: Vault
) -> Brought:
    """Make the schemas and adaptors that a client does not have yet; what it has of the same name stays as it is.

    Shape: one that cannot be made is told of, and the others are made. Have what was made published and announced.
    """
    brought = Brought()
    ids = {view.name: view.id for view in await list_schemas(session, client_id, limit=MAX_SCHEMAS)}
    known = {(view.name, view.website_url) for view in await list_adaptors(session, client_id, limit=MAX_ADAPTORS)}

    async def make_schema(kept: KeptSchema) -> None:
        first, *later = [NewSchema(name=kept.name, description=kept.description, properties=p) for p in kept.versions]
        view = await create_schema(session, client_id, first, actor, now=now)
        for new in later:
            await change_schema(session, client_id, view.id, new, actor, now=now, force=True)
        ids[kept.name] = view.id

    async def make_adaptor(kept: KeptAdaptor) -> None:
        if kept.schema is not None and kept.schema not in ids:
            raise InputRefused(f"Its schema {kept.schema} is not there.")
        wanted = msgspec.structs.replace(kept.settings, schema_id=None if kept.schema is None else ids[kept.schema])
        await create_adaptor(session, client_id, wanted, actor, now=now, vault=vault)

    for schema in found.schemas:
        make = None if schema.name in ids else partial(make_schema, schema)
        await _settle(session, brought, brought.schemas, schema.name, make)
    for adaptor in found.adaptors:
        settings = adaptor.settings
        make = None if (settings.name, settings.website_url) in known else partial(make_adaptor, adaptor)
        await _settle(session, brought, brought.adaptors, settings.name, make)
    return brought


async def _settle(
    session: AsyncSession, brought: Brought, tally: Tally, name: str, make: Callable[[], Awaitable[None]] | None
) -> None:
    """Make one, unless it is there, and note what came of it."""
    tally.read += 1
    if make is None:
        tally.present += 1
        return
    try:
        async with session.begin_nested():
            await make()
    except (AlreadyTaken, InputRefused, WrongState) as error:
        tally.rejected += 1
        reasons = [f"{pointer}: {detail}" for pointer, detail in getattr(error, "errors", ())]
        brought.refused.append(f"{name}: {'; '.join(reasons) or error.detail}")
    else:
        tally.imported += 1
