"""`grove staff`: invite, list, change and remove the people who work at a client."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from msgspec import UNSET
from sqlalchemy import select

from app.api.idempotency import Idempotency
from app.api.staff_desk import InvitedStaff, StaffDesk
from app.commands.administration import CLI, administer
from app.commands.printing import as_json, print_json, print_table
from app.workers.queue import JobQueue
from app.workers.resources import WorkerResources
from provisioning.requests import NewStaff, StaffChange
from provisioning.staff import StaffView, list_staff
from provisioning.validation import ROLES
from tenants.errors import NotFound
from tenants.models import Client, Staff

T = TypeVar("T")
ALL = 10_000
_ONCE = Idempotency("cli", None, b"")
whose = click.argument("client_id")
who = click.argument("email")
role_option = click.option("--role", type=click.Choice(ROLES), help="What the person may do.")


@click.group("staff")
def command() -> None:
    """Manage the people who work at a client."""


@command.command("invite")
@whose
@who
@click.option("--name", default="", help="The person's name.")
@role_option
def invite(client_id: str, email: str, name: str, role: str | None) -> None:
    """Invite a person; without a mail server the link is printed, this once."""
    new = NewStaff(email=email, name=name, role=role or ROLES[0])
    _print_link(_at_desk(client_id, lambda desk, client: desk.invite(client, new, _ONCE)))


@command.command("link")
@whose
@who
def link(client_id: str, email: str) -> None:
    """Send or print another link to set a password."""

    async def work(resources: WorkerResources) -> InvitedStaff:
        person = await _find(resources, client_id, email)
        return await _run(resources, client_id, lambda desk, client: desk.invite_again(client, person.id, _ONCE))

    _print_link(administer(work))


@command.command("list")
@whose
@as_json
def list_(client_id: str, *, as_json: bool) -> None:
    """List a client's people."""

    async def work(resources: WorkerResources) -> list[StaffView]:
        async with resources.control.session() as session:
            if await session.get(Client, client_id) is None:
                raise NotFound(f"There is no client {client_id}.")
            return await list_staff(session, client_id, limit=ALL)

    people = administer(work)
    if as_json:
        print_json(people)
        return
    rows = [(one.email, one.name, one.role, one.status, f"{one.created_at:%Y-%m-%d}") for one in people]
    print_table(("e-mail", "name", "role", "status", "since"), rows)


@command.command("change")
@whose
@who
@click.option("--name", help="The person's name.")
@role_option
@click.option("--disable/--enable", "disabled", default=None, help="Shut or open the account.")
def change(client_id: str, email: str, name: str | None, role: str | None, *, disabled: bool | None) -> None:
    """Change a person; whoever is disabled is logged out at once."""
    status = UNSET if disabled is None else "disabled" if disabled else "active"
    wanted = StaffChange(name=UNSET if name is None else name, role=UNSET if role is None else role, status=status)

    async def work(resources: WorkerResources) -> StaffView:
        person = await _find(resources, client_id, email)
        return await _run(resources, client_id, lambda desk, client: desk.change(client, person.id, wanted))

    person = administer(work)
    click.echo(f"{person.email} is {person.role}, {person.status}.")


@command.command("remove")
@whose
@who
def remove(client_id: str, email: str) -> None:
    """Remove a person, who is logged out at once."""

    async def work(resources: WorkerResources) -> None:
        person = await _find(resources, client_id, email)
        await _run(resources, client_id, lambda desk, client: desk.remove(client, person.id))

    administer(work)
    click.echo(f"{email} is removed from {client_id}.")


def _at_desk(client_id: str, ask: Callable[[StaffDesk, Client], Awaitable[T]]) -> T:
    return administer(lambda resources: _run(resources, client_id, ask))


async def _run(resources: WorkerResources, client_id: str, ask: Callable[[StaffDesk, Client], Awaitable[T]]) -> T:
    """Do as the API does, in the name of the command line."""
    async with resources.control.session() as session:
        client = await session.get(Client, client_id)
    if client is None:
        raise NotFound(f"There is no client {client_id}.")
    jobs = JobQueue(resources.settings.main_url)
    try:
        desk = StaffDesk(resources.control, resources.settings, resources.feed, jobs, resources.clock, CLI)
        return await ask(desk, client)
    finally:
        await jobs.close()


async def _find(resources: WorkerResources, client_id: str, email: str) -> Staff:
    async with resources.control.session() as session:
        query = select(Staff).where(Staff.client_id == client_id, Staff.email == email.lower())
        found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"Nobody at {client_id} has the address {email}.")
    return found


def _print_link(made: InvitedStaff) -> None:
    if made.link is None:
        click.echo(f"A link is on its way to {made.email}.")
        return
    click.echo(f"{made.link.url}\n  for {made.email} until {made.link.expires_at:%Y-%m-%d %H:%M} UTC; works once.")
