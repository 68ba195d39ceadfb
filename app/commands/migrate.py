"""`grove migrate`: bring the control plane, the job queue and every client's schema to the newest revision."""

import sys

import click
import msgspec

from app.bootstrap import bootstrap
from app.commands.administration import administer
from app.commands.printing import print_table
from app.workers.resources import WorkerResources
from migrations.control_plane import control_plane_drift
from migrations.fanout import FanoutReport, migrate_clients


class Findings(msgspec.Struct, frozen=True):
    """What a run found: `drift` tells how the control plane differs from what this version expects."""

    clients: FanoutReport
    drift: list[str]
    platform_key: str | None = None


@click.command("migrate")
@click.option("--dry-run", is_flag=True, help="Tell which clients lag behind and change nothing.")
@click.option("--verify", is_flag=True, help="Change nothing and fail unless everything is at its newest revision.")
def command(*, dry_run: bool, verify: bool) -> None:
    """Migrate the control plane and all clients, side by side; a client that fails stops no other.

    Exit status 1 tells that a client lags behind (with --dry-run: never) or, with --verify, that the control plane
    is not what this version expects.
    """
    findings = administer(_look if dry_run or verify else _migrate)
    _show(findings)
    if (findings.clients.laggards or findings.drift) and not dry_run:
        sys.exit(1)


async def _migrate(resources: WorkerResources) -> Findings:
    done = await bootstrap(resources.settings)
    if done.clients is None:
        message = "bootstrap always migrates the clients"
        raise AssertionError(message)
    return Findings(done.clients, [], done.platform_key)


async def _look(resources: WorkerResources) -> Findings:
    drift = [str(change) for change in await control_plane_drift(resources.control)]
    if drift:
        nothing = FanoutReport(head="", clients=0, current=0, migrated=[], laggards=[])
        return Findings(nothing, drift)
    clients = await migrate_clients(
        resources.control, vault=resources.vault, main_url=resources.settings.main_url, dry_run=True
    )
    return Findings(clients, drift)


def _show(findings: Findings) -> None:
    report = findings.clients
    if findings.platform_key is not None:
        click.echo(f"Platform key (shown this once, keep it safe): {findings.platform_key}")
    if findings.drift:
        click.echo(f"The control plane differs from this version in {len(findings.drift)} places; run `grove migrate`.")
        return
    click.echo(
        f"Revision {report.head}: {report.clients} clients, {report.current} current, {len(report.migrated)} migrated, "
        f"{len(report.laggards)} behind."
    )
    if report.laggards:
        rows = [(each.client_id, each.revision or "none", each.error or "not migrated yet") for each in report.laggards]
        print_table(("client", "revision", "why"), rows)
