"""`grove tenant suspend`, `resume`, `delete`, `restore`, `remove` and `isolation-check`: one operation each.

Added to the group by `app.commands.tenant`.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import click
from sqlalchemy.ext.asyncio import AsyncSession

from app.commands.administration import CLI, administer
from app.commands.carrying_out import carry_out
from app.commands.printing import as_json, print_json, print_table
from app.workers.resources import WorkerResources
from provisioning.lifecycle import (
    delete_client,
    request_isolation_check,
    restore_client,
    resume_client,
    suspend_client,
)
from provisioning.operations import OperationView

Order = Callable[[AsyncSession], Awaitable[UUID]]


@click.command("suspend")
@click.argument("client_id")
def suspend(client_id: str) -> None:
    """Shut a client's keys and pages until it is resumed."""
    _order(lambda resources: lambda session: suspend_client(session, client_id, CLI, now=resources.clock()))
    click.echo(f"{client_id} is suspended.")


@click.command("resume")
@click.argument("client_id")
def resume(client_id: str) -> None:
    """Open a suspended client again."""
    _order(lambda resources: lambda session: resume_client(session, client_id, CLI, now=resources.clock()))
    click.echo(f"{client_id} is active.")


@click.command("delete")
@click.argument("client_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(client_id: str, *, yes: bool) -> None:
    """Shut a client now and remove it when the grace is over; until then it can be restored."""
    yes or click.confirm(f"Delete {client_id}?", abort=True)
    _order(
        lambda resources: (
            lambda session: delete_client(
                session, client_id, CLI, now=resources.clock(), grace_days=resources.settings.delete_grace_days
            )
        )
    )
    click.echo(f"{client_id} is deleted; `grove tenant restore {client_id}` takes it back while the grace lasts.")


@click.command("restore")
@click.argument("client_id")
def restore(client_id: str) -> None:
    """Take a deletion back."""
    _order(lambda resources: lambda session: restore_client(session, client_id, CLI, now=resources.clock()))
    click.echo(f"{client_id} is restored.")


@click.command("remove")
@click.argument("client_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(client_id: str, *, yes: bool) -> None:
    """Remove a client for good, now: its data, roles and keys. Nothing brings it back."""
    if not yes and click.prompt(f"Type {client_id} to remove it for good") != client_id:
        raise click.Abort
    _order(
        lambda resources: lambda session: delete_client(session, client_id, CLI, now=resources.clock(), grace_days=0)
    )
    click.echo(f"{client_id} is gone.")


@click.command("isolation-check")
@click.argument("client_id")
@as_json
def isolation_check(client_id: str, *, as_json: bool) -> None:
    """Try every wall of a client with each of its roles; exit status 1 if one leaks."""
    view = _order(lambda _: lambda session: request_isolation_check(session, client_id, CLI))
    result = view.result or {}
    if as_json:
        print_json(result)
    else:
        _print_attempts(result)
    if result["summary"]["leaks"]:
        sys.exit(1)


def _print_attempts(result: dict[str, Any]) -> None:
    headers = ("role", "wall", "attempt", "outcome")
    print_table(headers, [[attempt[header] for header in headers] for attempt in result["attempts"]])
    summary = result["summary"]
    click.echo(f"{summary['attempts']} attempts, {summary['leaks']} leaks.")
    for sentence in summary["unhardened"]:
        click.echo(f"Not hardened: {sentence}")


def _order(ordering: Callable[[WorkerResources], Order]) -> OperationView:
    """Store what is ordered, carry it out and tell every process."""

    async def work(resources: WorkerResources) -> OperationView:
        async with resources.control.session() as session:
            operation_id = await ordering(resources)(session)
        await resources.feed.announce()
        return await carry_out(resources, operation_id)

    return administer(work)


commands = [suspend, resume, delete, restore, remove, isolation_check]
