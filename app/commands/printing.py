"""Print what commands found: as tables for people, as one JSON document for scripts."""

from collections.abc import Iterable, Sequence

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from app.api.client_views import Presenter, ShownClient
from app.workers.resources import WorkerResources

UNWRAPPED = 10_000
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")


def presenter(resources: WorkerResources) -> Presenter:
    """Show clients as the API does."""
    return Presenter(resources.control, resources.settings, resources.vault, resources.clock)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a table; where nobody watches, nothing is wrapped, so that lines stay lines."""
    table = Table(*headers, box=box.SIMPLE_HEAD, show_header=bool(any(headers)))
    for row in rows:
        table.add_row(*row)
    console = Console()
    (console if console.is_terminal else Console(width=UNWRAPPED)).print(table)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def print_client(client: ShownClient) -> None:
    """Print a client, a line per field."""
    fields: dict[str, object] = msgspec.to_builtins(client)
    print_table(("", ""), [(name, _write(value)) for name, value in fields.items()])


def print_made(client: ShownClient, keys: dict[str, str] | None) -> None:
    """Print a client that has just been made, and its keys, this once."""
    click.echo(f"{client.id} is {client.status}: {client.dashboard_url}")
    for kind, key in (keys or {}).items():
        click.echo(f"  {kind:8} {key}")
    if keys:
        click.echo("The keys are shown this once; keep them safe.")


def _write(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
