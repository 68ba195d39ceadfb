"""`grove rollup`: compare what is counted beforehand with a recount, or count it anew."""

import sys

import click
import msgspec

from app.commands.administration import administer
from app.commands.printing import print_table
from app.ingest.retelling import retell
from app.rollups.round import catch_up, forget
from app.rollups.verify import Difference, find_differences
from app.workers.resources import WorkerResources
from tenants.ids import TenantId
from tenants.placement import TenantContext


class Checked(msgspec.Struct, frozen=True):
    """A client and what is wrong with its rollups."""

    client_id: str
    differences: list[Difference]


@click.group("rollup")
def command() -> None:
    """Look after what dashboards are answered from."""


@command.command("verify")
@click.argument("client_id", required=False)
@click.option("--all", "every", is_flag=True, help="Look at every client.")
def verify(client_id: str | None, *, every: bool) -> None:
    """Compare every rollup with a full recount and name the differences; exit status 1 if there are any.

    Events that wait to be rolled up are no difference: answers add them. Reads everything that the client has.
    """
    if every == (client_id is not None):
        raise click.UsageError("Name a client, or say --all.")

    async def work(resources: WorkerResources) -> list[Checked]:
        clients = await _find(resources, client_id)
        return [Checked(each.tenant_id, await find_differences(resources.databases, each)) for each in clients]

    checked = administer(work)
    rows = [
        (each.client_id, found.kind, found.what, found.stored or "nothing", found.recounted or "nothing")
        for each in checked
        for found in each.differences
    ]
    if rows:
        print_table(("client", "kind", "of", "stored", "recounted"), rows)
    wrong = sum(bool(each.differences) for each in checked)
    click.echo(f"{len(checked)} clients: {len(checked) - wrong} equal a recount, {wrong} differ.")
    sys.exit(1 if wrong else 0)


@command.command("rebuild")
@click.argument("client_id")
def rebuild(client_id: str) -> None:
    """Count all events of a client anew, and tell its commerce facts. Answers stay right meanwhile, only slower."""

    async def work(resources: WorkerResources) -> int | None:
        (client,) = await _find(resources, client_id)
        if not await forget(resources.databases, client):
            return None
        await retell(resources.databases, client.placement, now=resources.clock())
        return (await catch_up(resources.databases, client, now=resources.clock())).events

    events = administer(work)
    if events is None:
        click.echo("grove: A worker is counting for this client just now; try again in a moment.", err=True)
        sys.exit(1)
    click.echo(f"{client_id}: {events} events counted.")


async def _find(resources: WorkerResources, client_id: str | None) -> list[TenantContext]:
    async with resources.control.session() as session:
        if client_id is not None:
            return [await resources.registry.load(session, TenantId(client_id))]
        clients = await resources.registry.unscoped_clients(session)
    return [client for client in clients if client.status != "provisioning"]
