"""`grove export`: write a client out."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from app.commands.administration import administer
from app.commands.printing import print_table
from app.transfer.exporter import Exporter
from app.transfer.manifest import Manifest
from app.transfer.output import Layout
from app.transfer.portrait import describe_client
from app.workers.resources import WorkerResources
from tenants.errors import WrongState
from tenants.ids import TenantId


@click.command("export")
@click.argument("client")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["ndjson", "csv"]), default="ndjson", show_default=True)
@click.option("--gzip/--no-gzip", "compress", default=False, help="Compress the files.")
def command(client: str, folder: Path, form: str, *, compress: bool) -> None:
    """Write all data of CLIENT into FOLDER, which must be empty or not there yet.

    Events, web sessions, commerce facts, the four chatbot tables, refused events and usage counts as of one moment,
    one file each, and a manifest.json with the client's settings, schemas and adaptors (no secrets) and the SHA-256 of
    every file. In CSV an empty cell is null, and texts that a spreadsheet could run as formulas begin with a quote.
    """
    layout = Layout(format=form, gzip=compress)
    manifest = administer(lambda resources: _export(resources, TenantId(client), folder.resolve(), layout))
    _show(manifest, folder)


async def _export(resources: WorkerResources, client_id: TenantId, folder: Path, layout: Layout) -> Manifest:
    async with resources.control.session() as session:
        client = await resources.registry.load(session, client_id)
        portrait = await describe_client(session, client_id)
    if client.status == "provisioning":
        raise WrongState("The client is still being made.")
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        exporter = Exporter(resources.databases, client.placement, layout, _Counter(progress).move)
        return await exporter.run(folder, portrait, resources.clock())


class _Counter:
    """A counting line per table, which appears with its first rows."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def move(self, table: str, rows: int) -> None:
        """Show how many rows were written."""
        if table not in self._tasks:
            self._tasks[table] = self._progress.add_task(table, total=None)
        self._progress.update(self._tasks[table], completed=rows)


def _show(manifest: Manifest, folder: Path) -> None:
    rows = [(file.name, f"{file.rows:,}", f"{file.size_bytes:,}") for file in manifest.files]
    print_table(("file", "rows", "bytes"), rows)
    for remark in manifest.remarks:
        click.echo(remark)
    click.echo(f"Written to {folder}")
