"""`grove tenant`: list and show clients; making them and changing their state is in the modules beside."""

import click

from app.api.client_views import ShownClient
from app.commands import tenant_domain, tenant_making, tenant_states
from app.commands.administration import administer
from app.commands.printing import as_json, presenter, print_client, print_json, print_table
from app.workers.resources import WorkerResources


@click.group("tenant")
def command() -> None:
    """Manage clients."""


@command.command("list")
@as_json
def list_(*, as_json: bool) -> None:
    """List all clients."""

    async def work(resources: WorkerResources) -> list[ShownClient]:
        async with resources.control.session() as session:
            return await presenter(resources).read(session)

    clients = administer(work)
    if as_json:
        print_json(clients)
        return
    headers = ("id", "name", "status", "domain", "zone", "place", "revision")
    print_table(headers, [_row_of(client) for client in clients])


def _row_of(client: ShownClient) -> tuple[str, ...]:
    at = client.placement
    place = () if at is None else (f"{at.kind} on {at.server}", at.revision or "")
    return client.id, client.name, client.status, client.domain or "", client.timezone, *place


@command.command("show")
@click.argument("client_id")
@as_json
def show(client_id: str, *, as_json: bool) -> None:
    """Show a client."""

    async def work(resources: WorkerResources) -> ShownClient:
        async with resources.control.session() as session:
            return await presenter(resources).get(session, client_id)

    client = administer(work)
    if as_json:
        print_json(client)
    else:
        print_client(client)


for module in (tenant_domain, tenant_making, tenant_states):
    for each in module.commands:
        command.add_command(each)
