"""`grove server`: register further Postgres servers, on which clients may then be put."""

import click
from sqlalchemy import select

from app.commands.administration import CLI, administer
from app.commands.printing import as_json, print_json, print_table
from app.workers.resources import WorkerResources
from provisioning.servers import add_server
from provisioning.validation import is_server_name
from tenants.models import Server
from tenants.registry import MAIN_SERVER


@click.group("server")
def command() -> None:
    """Manage the servers that hold clients."""


@command.command("add")
@click.argument("name")
@click.argument("url")
def add(name: str, url: str) -> None:
    """Register the Postgres server at URL under NAME, for `placement.server`.

    The login of the URL must be allowed to make roles and databases. The database that it names holds the clients of
    kind `schema`; the URL is kept encrypted.
    """

    async def work(resources: WorkerResources) -> None:
        async with resources.control.session() as session:
            await add_server(session, name, url, CLI, vault=resources.vault)

    administer(work)
    click.echo(f"{name} is registered: `grove tenant create … --server {name}` puts a client on it.")


@command.command("list")
@as_json
def list_(*, as_json: bool) -> None:
    """List the servers on which clients may be put; `main` is `DATABASE_URL`."""

    async def work(resources: WorkerResources) -> list[str]:
        async with resources.control.session() as session:
            # The others were given for one client alone.
            names = (
                await session.execute(select(Server.name).order_by(Server.name != MAIN_SERVER, Server.name))
            ).scalars()
            return [name for name in names if is_server_name(name)]

    names = administer(work)
    if as_json:
        print_json(names)
    else:
        print_table(("server",), [(name,) for name in names])
