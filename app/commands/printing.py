"""Print what commands found: as tables for people, as one JSON document for scripts."""

import click
import msgspec
from rich.console import Console
from rich.table import Table

from app.api.client_views import Presenter, ShownClient
from app.workers.resources import WorkerResources

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")


def presenter(resources: WorkerResources) -> Presenter:
    """Show clients as the API does."""
    return Presenter(resources.control, resources.settings, resources.vault, resources.clock)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def print_client(client: ShownClient) -> None:
    """Print a client, a line per field."""
    table = Table(show_header=False)
    for name, value in msgspec.to_builtins(client).items():
        table.add_row(name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
    Console().print(table)


def print_made(client: ShownClient, keys: dict[str, str] | None) -> None:
    """Print a client that has just been made, and its keys, this once."""
    click.echo(f"{client.id} is {client.status}: {client.dashboard_url}")
    for kind, key in (keys or {}).items():
        click.echo(f"  {kind:8} {key}")
    if keys:
        click.echo("The keys are shown this once; keep them safe.")
