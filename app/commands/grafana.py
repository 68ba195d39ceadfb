"""`grove grafana reconcile` and `upgrade`: keep the clients' Grafana, and the dashboards in it, as they should be.

Each client is an operation of its own, carried out here unless a worker is quicker.
"""

import sys
from uuid import UUID

import click
import msgspec
from sqlalchemy import select

from app.commands.administration import CLI, administer
from app.commands.carrying_out import NotFinished, carry_out
from app.commands.printing import as_json, print_json, print_table
from app.workers.resources import WorkerResources
from provisioning.grafana.changes import Change
from provisioning.grafana.orders import request_reconciliation
from provisioning.grafana.organisations import PLATFORM
from provisioning.grafana.platform import ensure_platform
from provisioning.grafana.reconcile import rehearse
from provisioning.grafana.releases import offer_release, store_release, try_release
from provisioning.operations import OperationView
from provisioning.templates import shipped_templates
from provisioning.work import Skipped
from tenants.errors import GroveError, InputRefused, NotFound
from tenants.models import Client


class Outcome(msgspec.Struct, frozen=True):
    """What became of one client, or of the platform's organisation. `error` tells why it is not as it should be."""

    client_id: str
    changes: list[Change] = []
    error: str | None = None


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
        chosen = [client_id] if client_id is not None else await _unscoped_clients(resources)
        platform = await _look_after_platform(resources, dry_run=dry_run) if everybody else []
        if dry_run:
            return platform + [await _rehearse(resources, each) for each in chosen]
        return platform + [await _repair(resources, each, rotate=rotate_password) for each in chosen]

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
            await store_release(session, shipped)
            if canary is not None:
                chosen = await try_release(session, shipped.version, canary, CLI)
            else:
                chosen = await offer_release(session, rollback or shipped.version, CLI)
        return [await _repair(resources, each, rotate=False) for each in chosen]

    _show(administer(work), as_json=as_json, dry_run=False)


def _require_grafana(resources: WorkerResources) -> None:
    if resources.runner.means.grafana is None:
        raise InputRefused("No Grafana is configured: set GRAFANA_URL and GRAFANA_ADMIN_PASSWORD.")


async def _unscoped_clients(resources: WorkerResources) -> list[str]:
    query = select(Client.id).where(Client.status.in_(("active", "suspended"))).order_by(Client.id)
    async with resources.control.session() as session:
        return list((await session.scalars(query)).all())


async def _look_after_platform(resources: WorkerResources, *, dry_run: bool) -> list[Outcome]:
    try:
        return [Outcome(PLATFORM, await ensure_platform(resources.runner.means, rehearse=dry_run))]
    except Skipped as reason:
        click.echo(f"{PLATFORM}: skipped: {reason}", err=True)
        return []
    except GroveError as error:
        return [Outcome(PLATFORM, error=error.detail)]


async def _rehearse(resources: WorkerResources, client_id: str) -> Outcome:
    try:
        return Outcome(client_id, await rehearse(resources.runner.means, client_id))
    except NotFound:
        raise
    except (GroveError, Skipped) as error:
        return Outcome(client_id, error=str(error))


async def _repair(resources: WorkerResources, client_id: str, *, rotate: bool) -> Outcome:
    """Repair one client; one that cannot be repaired stops no other."""
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
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if as_json:
        print_json(outcomes)
    else:
        print_table(("client", "action", "kind", "name", "detail"), rows)
        for outcome in failed:
            click.echo(f"{outcome.client_id}: {outcome.error}", err=True)
    differs = any(row[1] != "keep" for row in rows)
    if failed or (dry_run and differs):
        sys.exit(1)
