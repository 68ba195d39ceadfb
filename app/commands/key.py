"""`grove key`: create, list, rotate and revoke keys, of a client or of the platform."""

from datetime import UTC, datetime
from uuid import UUID

import click
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from app.commands.administration import CLI, administer
from app.commands.printing import as_json, print_json, print_table
from app.workers.resources import WorkerResources
from provisioning.keys import KeyView, NewKey, create_key, list_keys, revoke_key, rotate_key
from tenants.errors import NotFound
from tenants.keys import KeyKind
from tenants.models import ApiKey, Client

ALL = 10_000
owner = click.option("--client", "client_id", help="Whose key; left out: the platform's.")


@click.group("key")
def command() -> None:
    """Manage keys."""


@command.command("create")
@owner
@click.option("--kind", type=click.Choice(["admin", "server", "browser"]), help="Needed for a client's key.")
@click.option("--name", default="", help="What the key is for.")
@click.option("--origin", "origins", multiple=True, help="Browser keys: an origin that may use it; repeat for more.")
@click.option("--expires-at", type=click.DateTime(), help="UTC; left out: never.")
@click.option("--rate-limit", type=int, help="Events per second in the long run; left out: any number.")
@click.option("--rate-burst", type=int, help="Events at once; left out: ten seconds' worth.")
@click.option("--monthly-quota", type=int, help="Events per calendar month, UTC; left out: any number.")
def create(
    client_id: str | None,
    kind: str | None,
    name: str,
    origins: tuple[str, ...],
    expires_at: datetime | None,
    **limits: int | None,
) -> None:
    """Make a key and print it, this once."""
    if (client_id is None) != (kind is None):
        raise click.UsageError("A client's key needs --client and --kind; the platform's takes neither.")
    new = NewKey(
        kind=KeyKind.PLATFORM if kind is None else KeyKind[kind.upper()],
        client_id=client_id,
        name=name,
        origins=origins,
        expires_at=None if expires_at is None else expires_at.replace(tzinfo=UTC),
        **limits,
    )

    async def work(resources: WorkerResources) -> KeyView:
        async with resources.control.session() as session:
            await _require_client(session, client_id)
            return await create_key(session, new, CLI, now=resources.clock())

    _print_new(administer(work))


@command.command("list")
@owner
@as_json
def list_(client_id: str | None, *, as_json: bool) -> None:
    """List keys, revoked and expired ones too."""

    async def work(resources: WorkerResources) -> list[KeyView]:
        async with resources.control.session() as session:
            await _require_client(session, client_id)
            return await list_keys(session, client_id, limit=ALL)

    keys = administer(work)
    if as_json:
        print_json(keys)
        return
    print_table(("id", "kind", "name", "key", "created", "last used", "ends"), [_row_of(key) for key in keys])


@command.command("rotate")
@click.argument("key_id", type=click.UUID)
@click.option("--overlap", "overlap_s", type=int, default=86_400, show_default=True, help="Seconds the old one lives.")
@click.option("--expires-at", type=click.DateTime(), help="UTC; left out: when the old one would have ended.")
def rotate(key_id: UUID, overlap_s: int, expires_at: datetime | None) -> None:
    """Replace a key by a new one and print that, this once."""
    ends_at = UNSET if expires_at is None else expires_at.replace(tzinfo=UTC)

    async def work(resources: WorkerResources) -> KeyView:
        async with resources.control.session() as session:
            client_id = await _owner_of(session, key_id)
            made = await rotate_key(
                session, client_id, key_id, CLI, now=resources.clock(), overlap_s=overlap_s, expires_at=ends_at
            )
        await resources.feed.announce()
        return made

    _print_new(administer(work))


@command.command("revoke")
@click.argument("key_id", type=click.UUID)
def revoke(key_id: UUID) -> None:
    """End a key now, in every process."""

    async def work(resources: WorkerResources) -> None:
        async with resources.control.session() as session:
            client_id = await _owner_of(session, key_id)
            await revoke_key(session, client_id, key_id, CLI, now=resources.clock())
        await resources.feed.announce()

    administer(work)
    click.echo(f"Key {key_id} is revoked.")


async def _require_client(session: AsyncSession, client_id: str | None) -> None:
    if client_id is not None and await session.get(Client, client_id) is None:
        raise NotFound(f"There is no client {client_id}.")


async def _owner_of(session: AsyncSession, key_id: UUID) -> str | None:
    row = await session.get(ApiKey, key_id)
    if row is None:
        raise NotFound("There is no such key.")
    return row.client_id


def _print_new(made: KeyView) -> None:
    click.echo(f"{made.key}\n  id {made.id}; shown this once, keep it safe.")


def _row_of(key: KeyView) -> tuple[str, ...]:
    times = (key.created_at, key.last_used_at, key.revoked_at or key.expires_at)
    return str(key.id), key.kind, key.name, key.hint, *(_short(time) for time in times)


def _short(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M}"
