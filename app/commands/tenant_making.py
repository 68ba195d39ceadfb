"""`grove tenant create` and `apply`: make clients, one by its options or many from a file.

Added to the group by `app.commands.tenant`.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec

from app.api.client_views import ShownClient
from app.api.given_databases import with_given_database
from app.api.reserved import reserved_ids
from app.asgi import create_litestar
from app.commands.administration import CLI, administer
from app.commands.carrying_out import NotFinished, carry_out
from app.commands.printing import as_json, presenter, print_json, print_made
from app.observability import Metrics
from app.workers.resources import WorkerResources
from provisioning.apply import Applied, Wanted, apply_client, check_clients, read_clients
from provisioning.onboarding import Onboarding, reveal_keys
from provisioning.requests import Branding, NewClient, NewPlacement
from tenants.errors import GroveError


@click.command("create")
@click.argument("client_id")
@click.option("--name", help="Name shown to people; default the id.")
@click.option("--timezone", default="UTC", show_default=True, help="IANA zone in which days begin.")
@click.option("--domain", help="Host name of the client's site.")
@click.option("--primary-color", help="#rgb or #rrggbb.")
@click.option("--logo-url", help="https address of an image.")
@click.option("--kind", type=click.Choice(["schema", "database", "external"]), default="schema", show_default=True)
@click.option("--server", help="Registered server to make it on; default main.")
@click.option("--url", help="A database of its own to use; also <CLIENT>_DB_URL.")
@click.option("--source-timezone", help="External: zone of its TIMESTAMP columns; default UTC.")
@click.option("--schema", help="External: schema of its tables; default public.")
@as_json
def create(client_id: str, *, as_json: bool, **options: Any) -> None:
    """Make a client and print its first keys, this once."""
    placed = {name: options.pop(name) for name in ("kind", "server", "url", "source_timezone", "schema")}
    branding = Branding(primary_color=options.pop("primary_color"), logo_url=options.pop("logo_url"))
    name = options.pop("name") or client_id
    new = NewClient(id=client_id, name=name, branding=branding, placement=NewPlacement(**placed), **options)

    async def work(resources: WorkerResources) -> tuple[ShownClient, dict[str, str] | None]:
        onboarding = _onboarding(resources)
        given = with_given_database(new, resources.settings.client_databases)
        examined = await onboarding.examine(resources.control, given)
        async with resources.control.session() as session:
            operation_id = await onboarding.request(session, examined, CLI)
        return await _finish_onboarding(resources, client_id, operation_id)

    client, keys = administer(work)
    if as_json:
        print_json({"client": client, "keys": keys})
    else:
        print_made(client, keys)


@click.command("apply")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def apply_file(path: Path) -> None:
    """Make the clients of a file (.json or .toml) so; as often as one likes.

    Clients that are missing are made. Of those that are there, what the file gives is changed, and what it leaves out
    is left alone. If any client of the file is refused, nothing is applied.

    A given database whose URL has changed (in the file, or as <CLIENT>_DB_URL) is looked into, and the URL kept from
    then on. The environment is read for it here and when a client is made, at no other time.
    """

    async def work(resources: WorkerResources) -> list[str]:
        onboarding = _onboarding(resources)
        clients = [_complete(resources, each) for each in read_clients(path)]
        await check_clients(resources.control, onboarding, clients, vault=resources.vault)
        return [each.new.id for each in clients if not await _apply_one(resources, onboarding, each)]

    failed = administer(work)
    if failed:
        raise NotFinished(f"Not made so: {', '.join(failed)}.")


def _complete(resources: WorkerResources, wanted: Wanted) -> Wanted:
    """Fill in the database that the environment gives."""
    new = with_given_database(wanted.new, resources.settings.client_databases)
    return msgspec.structs.replace(wanted, new=new)


async def _apply_one(resources: WorkerResources, onboarding: Onboarding, wanted: Wanted) -> bool:
    """Apply one client of a file and print what was done; tell whether that went well."""
    client_id, grace = wanted.new.id, resources.settings.delete_grace_days
    try:
        async with resources.control.session() as session:
            applied = await apply_client(
                session, onboarding, wanted, CLI, clock=resources.clock, vault=resources.vault, grace_days=grace
            )
        await resources.feed.announce()
        click.echo(f"{client_id}: {_say(applied)}")
        if applied.operation_id is None:
            return True
        client, keys = await _finish_onboarding(resources, client_id, applied.operation_id)
    except (GroveError, NotFinished) as error:
        click.echo(f"{client_id}: {error}", err=True)
        return False
    print_made(client, keys)
    return True


def _say(applied: Applied) -> str:
    return f"{applied.did} {', '.join(applied.changed)}".strip()


async def _finish_onboarding(
    resources: WorkerResources, client_id: str, operation_id: UUID
) -> tuple[ShownClient, dict[str, str] | None]:
    await carry_out(resources, operation_id)
    async with resources.control.session() as session:
        client = await presenter(resources).get(session, client_id)
        keys = await reveal_keys(session, operation_id, CLI, vault=resources.vault, clock=resources.clock)
    return client, keys


def _onboarding(resources: WorkerResources) -> Onboarding:
    settings = resources.settings
    reserved = reserved_ids(create_litestar(settings, Metrics(settings.metrics_dir)).routes)
    return Onboarding(vault=resources.vault, reserved=reserved, retention_days=settings.retention_days)


commands = [create, apply_file]
