"""`grove import`: bring existing chatbot rows into a client, and the schemas and adaptors of an export."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.commands.administration import CLI, administer
from app.commands.carrying_out import carry_out
from app.commands.printing import print_table
from app.transfer.checkpoint import Checkpoint
from app.transfer.importer import Importer, require_own_tables
from app.transfer.intake import Brought, Intake, bring_in
from app.transfer.reading import Source
from app.transfer.sources import Order, find_intake, left_out, open_sources, read_names, zone_of
from app.transfer.tables import TABLES
from app.workers.resources import WorkerResources
from provisioning.schemas.publication import request_publication
from tenants.errors import StoreUnavailable, WrongState
from tenants.ids import TenantId
from tenants.placement import TenantContext

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("import")
@click.argument("client")
@click.argument("source")
@click.option("--table", type=click.Choice(list(TABLES)), help="Import this table alone, or what a single file holds.")
@click.option("--source-schema", help="Schema of the tables in the source database; default public.")
@click.option("--source-timezone", help="Zone of times that are given without one; default UTC.")
@click.option("--map", "names_file", type=_FILE, help="JSON or TOML file: schema, timezone, tables{}, columns{}.")
@click.option("--rejects", type=_FILE, help="Where rows that cannot be imported are put aside.")
def command(
    client: str,
    source: str,
    table: str | None,
    source_schema: str | None,
    source_timezone: str | None,
    names_file: Path | None,
    rejects: Path | None,
) -> None:
    """Bring existing rows of "UserEvents", "Leads", "ChatLog" and "AgentConnection" into CLIENT.

    From a folder that `grove export` wrote, event schemas and adaptors that CLIENT does not have come too; adaptors get
    new keys, so their sites need the new tags.

    SOURCE is a postgresql:// URL, a folder of files named after the tables, or one file: .csv, .ndjson or .jsonl, each
    also with .gz. A file whose name is no table's needs --table or a column `table` in each row.

    Rows that are there already are not doubled, and an import that was interrupted goes on where it stopped when the
    same command is given again. A row that cannot be imported is put aside with the reason.
    """
    names = read_names(names_file, schema=source_schema, timezone=source_timezone)
    order = Order(origin=source, table=table, names=names)
    administer(lambda resources: _import(resources, TenantId(client), order, rejects))


async def _import(resources: WorkerResources, client_id: TenantId, order: Order, rejects: Path | None) -> None:
    client = await _get_client(resources, client_id)
    placement = client.placement
    require_own_tables(placement)
    intake = find_intake(order)
    checkpoint = Checkpoint(
        resources.settings.data_dir / "imports",
        client_id.encode(),
        placement.schema.encode(),
        order.identity,
        rejects=rejects,
    )
    console = Console(stderr=True)
    async with open_sources(order, resources.databases, placement) as sources:
        if checkpoint.resumed:
            console.print("Going on where the last run stopped.")
        with _progress(console) as progress:
            bar = _Bars(progress, sources)
            try:
                importer = Importer(resources.databases, placement, checkpoint, zone_of(order.names), bar.move)
                await importer.run(sources)
            except StoreUnavailable as error:
                detail = f"{error.detail} Give the same command again to go on."
                raise StoreUnavailable(detail) from error
    brought = await _bring_in(resources, client_id, intake)
    _show(checkpoint, brought, left_out(order, {source.name for source in sources}))


async def _bring_in(resources: WorkerResources, client_id: TenantId, intake: Intake) -> Brought:
    """Make what the client does not have, and have it published."""
    async with resources.control.session() as session:
        brought = await bring_in(session, client_id, intake, CLI, now=resources.clock(), vault=resources.vault)
        published = await request_publication(session, client_id, CLI) if brought.schemas.imported else None
    if brought.schemas.imported or brought.adaptors.imported:
        await resources.feed.announce()
    if published is not None:
        await carry_out(resources, published)
    return brought


async def _get_client(resources: WorkerResources, client_id: TenantId) -> TenantContext:
    async with resources.control.session() as session:
        client = await resources.registry.load(session, client_id)
    if client.status == "provisioning":
        raise WrongState("The client is still being made.")
    return client


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class _Bars:
    """A bar per source."""

    def __init__(self, progress: Progress, sources: list[Source]) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {
            source.name: progress.add_task(source.name, total=source.total) for source in sources
        }

    def move(self, source: Source, done: int) -> None:
        """Show how far a source was read."""
        self._progress.update(self._tasks[source.name], completed=done)


def _show(checkpoint: Checkpoint, brought: Brought, not_taken: list[str]) -> None:
    made = {"schemas": brought.schemas, "adaptors": brought.adaptors}
    tallies = checkpoint.tallies | {name: tally for name, tally in made.items() if tally.read}
    print_table(
        ("table", "read", "imported", "already there", "rejected"),
        [
            (name, *(f"{count:,}" for count in (tally.read, tally.imported, tally.present, tally.rejected)))
            for name, tally in tallies.items()
        ],
    )
    for reason in brought.refused:
        click.echo(f"Not imported: {reason}")
    if any(tally.rejected for tally in checkpoint.tallies.values()):
        click.echo(f"What was rejected, and why: {checkpoint.rejects}")
    if not_taken:
        click.echo(f"Not imported: {', '.join(not_taken)}")
