"""`grove grafana reconcile` and `upgrade`: keep the clients' Grafana, and the dashboards in it, as they should be.

Each client is an operation of its own, carried out here unless a worker is quicker.
"""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import click
import msgspec

from app.commands.administration import CLI, administer
from app.commands.carrying_out import NotFinished, carry_out
from app.commands.printing import as_json, print_json, print_table
from app.workers.resources import WorkerResources
from provisioning.failures import describe
from provisioning.grafana.changes import Change
from provisioning.grafana.orders import request_reconciliation
from provisioning.grafana.organisations import PLATFORM
from provisioning.grafana.platform import ensure_platform
from provisioning.grafana.reconcile import rehearse
from provisioning.grafana.releases import offer_release, store_release, try_release
from provisioning.grafana.visit import unscoped_open_clients
from provisioning.operations import OperationView
from provisioning.templates import shipped_templates
from provisioning.work import Skipped
from tenants.errors import GroveError, InputRefused, NotFound, WrongState


class Outcome(msgspec.Struct, frozen=True):
    """What became of one client, or of the platform's organisation.

    Shape: `error` tells why it is not as it should be, `skipped` why there was nothing to look at.
    """

    client_id: str
    changes: list[Change] = []
    error: str | None = None
    skipped: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all was mended that had to be."""
        return self.error is None and all(change.action != "fail" for change in self.changes)


@click.group("grafana")
def command() -> None:
    """Look after the clients' Grafana."""


@command.command("reconcile")
@click.argument("client_id", required=False)
@click.option("--all", "everybody", is_flag=True, help="Every client, and the platform's own organisation.")
@click.option("--dry-run", is_flag=True, help="Tell what differs and change nothing.")
@click.option("--rotate-password", is_flag=True, help="Also give the datasource's login another password.")
@as_json
def reconcile(client_id: str | None, *, everybody: bool, dry_run: bool, rotate_password: bool, as_json: bool) -> None:
    """Repair what differs from the control plane; the staff's own dashboards are kept.

    Exit status 1 tells that a client could not be repaired or, with --dry-run, that something differs.
    """
    if (client_id is None) != everybody:
        raise click.UsageError("Name a client, or say --all.")

    async def work(resources: WorkerResources) -> list[Outcome]:
        _require_grafana(resources)
        visit = partial(_rehearse, resources) if dry_run else partial(_repair, resources, rotate=rotate_password)
        if client_id is not None:
            return [await _told(visit, client_id)]
        async with resources.control.session() as session:
            chosen = await unscoped_open_clients(session)
        return [await _look_after_platform(resources, dry_run=dry_run), *await visit_all(visit, chosen)]

    _show(administer(work), as_json=as_json, dry_run=dry_run)


@command.command("upgrade")
@click.option("--canary", type=click.IntRange(min=1), help="Try the shipped dashboards on so many clients.")
@click.option("--all", "everybody", is_flag=True, help="Give the shipped dashboards to every client.")
@click.option("--rollback", type=click.IntRange(min=1), help="Go back to this version for every client.")
@as_json
def upgrade(*, canary: int | None, everybody: bool, rollback: int | None, as_json: bool) -> None:
    """Change the version of the dashboards: for some clients, for all, or back."""
    if sum((canary is not None, everybody, rollback is not None)) != 1:
        raise click.UsageError("Say one of --canary, --all and --rollback.")

    async def work(resources: WorkerResources) -> list[Outcome]:
        _require_grafana(resources)
        shipped = shipped_templates()
        async with resources.control.session() as session:
            if rollback is None:
                await store_release(session, shipped)
            if canary is not None:
                chosen = await try_release(session, shipped.version, canary, CLI)
            else:
                chosen = await offer_release(session, rollback or shipped.version, CLI)
        return await visit_all(partial(_repair, resources, rotate=False), chosen)

    _show(administer(work), as_json=as_json, dry_run=False)


def _require_grafana(resources: WorkerResources) -> None:
    if resources.runner.means.grafana is None:
        raise InputRefused("No Grafana is configured: set GRAFANA_URL and GRAFANA_ADMIN_PASSWORD.")


async def _look_after_platform(resources: WorkerResources, *, dry_run: bool) -> Outcome:
    try:
        return Outcome(PLATFORM, await ensure_platform(resources.runner.means, rehearse=dry_run))
    except Skipped as reason:
        return Outcome(PLATFORM, skipped=str(reason))
    except GroveError as error:
        return Outcome(PLATFORM, error=error.detail)


async def visit_all(visit: Callable[[str], Awaitable[Outcome]], client_ids: list[str]) -> list[Outcome]:
    """Visit clients one after the other; one that has been deleted meanwhile stops no other."""
    outcomes = []
    for client_id in client_ids:
        try:
            outcomes.append(await _told(visit, client_id))
        except (NotFound, WrongState) as gone:
            outcomes.append(Outcome(client_id, skipped=gone.detail))
    return outcomes


async def _told(visit: Callable[[str], Awaitable[Outcome]], client_id: str) -> Outcome:
    """Visit a client, and tell what is wrong with it.

    Errors: NotFound and WrongState, if there is none to be visited.
    """
    try:
        return await visit(client_id)
    except (NotFound, WrongState):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the others have their turn
        return Outcome(client_id, error=describe(error))


async def _rehearse(resources: WorkerResources, client_id: str) -> Outcome:
    try:
        return Outcome(client_id, await rehearse(resources.runner.means, client_id))
    except Skipped as reason:
        return Outcome(client_id, skipped=str(reason))


async def _repair(resources: WorkerResources, client_id: str, *, rotate: bool) -> Outcome:
    async with resources.control.session() as session:
        operation_id = await request_reconciliation(session, client_id, CLI, rotate=rotate)
    click.echo(f"{client_id}:", err=True)
    try:
        view = await _carry_out(resources, operation_id)
    except NotFinished as error:
        return Outcome(client_id, error=error.message)
    changes = (view.result or {}).get("changes", [])
    return Outcome(client_id, msgspec.convert(changes, list[Change]))


async def _carry_out(resources: WorkerResources, operation_id: UUID) -> OperationView:
    await resources.feed.announce()
    return await carry_out(resources, operation_id)


def _show(outcomes: list[Outcome], *, as_json: bool, dry_run: bool) -> None:
    rows = [
        (outcome.client_id, change.action, change.kind, change.name, change.detail or "")
        for outcome in outcomes
        for change in outcome.changes
    ]
    if as_json:
        print_json(outcomes)
    else:
        print_table(("client", "action", "kind", "name", "detail"), rows)
        for outcome in outcomes:
            note = outcome.error if outcome.skipped is None else f"skipped: {outcome.skipped}"
            if note is not None:
                click.echo(f"{outcome.client_id}: {note}", err=True)
    differs = any(row[1] != "keep" for row in rows)
    if not all(outcome.is_whole for outcome in outcomes) or (dry_run and differs):
        sys.exit(1)
