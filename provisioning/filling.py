"""What makes a place a client: its tables, its first keys, and being switched on. Steps of onboarding."""

import uuid

from sqlalchemy import delete, select, update

from migrations.partitions import ensure_partitions
from migrations.tenant_plane import upgrade_tenant
from provisioning.keys import NewKey, new_key_row
from provisioning.sealed import open_secrets, seal_secrets
from provisioning.work import Step, Work, undo_nothing
from tenants.keys import KeyKind
from tenants.models import ApiKey, Client, Operation, PlacementRow
from tenants.revocations import revoke

FIRST_KEYS = (KeyKind.ADMIN, KeyKind.SERVER, KeyKind.BROWSER)


async def ensure_tables(work: Work) -> str:
    """Bring the client's schema to the newest revision, with partitions for the events to come."""
    place = await work.get_place()
    placement = work.placement(place)
    async with work.control.session() as session:
        retention_days = (await session.get_one(Client, work.client_id)).retention_days
    async with work.engine(place) as engine:
        revision = await upgrade_tenant(engine, placement)
        await ensure_partitions(
            engine, placement, interval=place.row.partition_interval, retention_days=retention_days, now=work.clock()
        )
    async with work.control.session() as session:
        query = update(PlacementRow).where(PlacementRow.client_id == work.client_id)
        await session.execute(query.values(revision=revision))
    return f"at revision {revision}"


async def ensure_first_keys(work: Work) -> str:
    """Make one key of each kind; hashes and the sealed keys, shown once, are stored in one transaction."""
    ids = {kind: uuid.uuid5(work.operation_id, kind.name) for kind in FIRST_KEYS}
    async with work.control.session() as session:
        client = await session.get_one(Client, work.client_id)
        operation = await session.get_one(Operation, work.operation_id, with_for_update=True)
        if (await session.scalars(select(ApiKey.id).where(ApiKey.id.in_(ids.values())))).first() is None:
            secrets = open_secrets(operation.sealed, work.vault)
            secrets.keys = {}
            for kind, key_id in ids.items():
                name = kind.name.lower()
                origins = [f"https://{client.domain}"] if kind is KeyKind.BROWSER and client.domain else []
                new = NewKey(kind=kind, client_id=client.id, name=f"first {name} key", origins=origins)
                row, secrets.keys[name] = new_key_row(new, now=work.clock(), key_id=key_id)
                session.add(row)
            operation.sealed = seal_secrets(secrets, work.vault)
    return "admin, server and browser key"


async def drop_first_keys(work: Work) -> None:
    """Take the first keys away."""
    ids = [uuid.uuid5(work.operation_id, kind.name) for kind in FIRST_KEYS]
    async with work.control.session() as session:
        await session.execute(delete(ApiKey).where(ApiKey.id.in_(ids)))
        for key_id in ids:
            revoke(session, "key", str(key_id))


async def switch_on(work: Work) -> str | None:
    """Let the client's keys and pages work."""
    await _change_status(work, before="provisioning", after="active")
    return None


async def switch_off(work: Work) -> None:
    """Shut the client's keys and pages."""
    await _change_status(work, before="active", after="provisioning")


async def _change_status(work: Work, *, before: str, after: str) -> None:
    async with work.control.session() as session:
        query = update(Client).where(Client.id == work.client_id, Client.status == before)
        await session.execute(query.values(status=after, updated_at=work.clock()))
        revoke(session, "client", work.client_id)


TABLES = Step("migrations", ensure_tables, undo_nothing)
KEYS = Step("keys", ensure_first_keys, drop_first_keys)
ACTIVATION = Step("activation", switch_on, switch_off)
