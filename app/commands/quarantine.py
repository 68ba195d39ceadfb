"""`grove quarantine`: list, show, edit, replay and purge what could not be stored of a client's events."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import reduce, wraps
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

import click
import msgspec

from app.api.pages import MAX_LIMIT
from app.api.quarantine_desk import PurgeOrder, QuarantineDesk, ReplayAnswer, ReplayOrder, select_quarantined
from app.commands.administration import CLI, administer
from app.commands.printing import as_json, print_json, print_table
from app.ingest.quarantine import Quarantined
from app.workers.resources import WorkerResources
from tenants.ids import TenantId
from tenants.placement import TenantContext

T = TypeVar("T")
client = click.option("--client", "client_id", required=True, help="Whose quarantine.")
_FILTERS = (
    click.option("--code", help="Only events refused with this code."),
    click.option("--key", type=click.UUID, help="Only events that the key of this id sent."),
    click.option("--from", "start", type=click.DateTime(), help="Only events received from this time on, UTC."),
    click.option("--to", "end", type=click.DateTime(), help="Only events received before this time, UTC."),
)


def filters(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which events it is about."""
    return reduce(lambda given, option: option(given), reversed(_FILTERS), function)


def named_or_all(function: Callable[..., None]) -> Callable[..., None]:
    """Have a command take ids of events, or --all that fit its filters; `wanted` are the fields of an order."""

    @client
    @click.argument("row_ids", type=click.UUID, nargs=-1)
    @click.option("--all", "everything", is_flag=True, help="All that fit the options, not those named.")
    @filters
    @wraps(function)
    def choose(
        client_id: str,
        row_ids: tuple[UUID, ...],
        code: str | None,
        key: UUID | None,
        start: datetime | None,
        end: datetime | None,
        *,
        everything: bool,
    ) -> None:
        if bool(row_ids) == everything:
            raise click.UsageError("Name the events, or say --all.")
        function(
            client_id, {"ids": [*row_ids] or None, "code": code, "key": key, "start": _utc(start), "end": _utc(end)}
        )

    return choose


@click.group("quarantine")
def command() -> None:
    """Look after events that could not be stored."""


@command.command("list")
@client
@filters
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=MAX_LIMIT, show_default=True, help="How many at most."
)
@as_json
def list_(
    client_id: str,
    code: str | None,
    key: UUID | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List refused events, the latest first."""
    selection = select_quarantined(code, key, _utc(start), _utc(end))
    rows: list[Quarantined] = _work(
        client_id, lambda desk, tenant: desk.list(tenant, selection, before=None, limit=limit)
    )
    if as_json:
        print_json(rows)
        return
    headers = ("id", "received", "event id", "code", "pointer", "detail")
    print_table(headers, [_row_of(row) for row in rows])


@command.command("show")
@client
@click.argument("row_id", type=click.UUID)
def show(client_id: str, row_id: UUID) -> None:
    """Print a refused event with its body, as one JSON document."""
    print_json(_work(client_id, lambda desk, tenant: desk.get(tenant, row_id)))


@command.command("edit")
@client
@click.argument("row_id", type=click.UUID)
@click.argument("event", type=click.File("rb"), default="-")
def edit(client_id: str, row_id: UUID, event: BinaryIO) -> None:
    """Replace a refused event's body by the JSON object in a file, or on standard input."""
    body = event.read()
    try:
        msgspec.json.decode(body, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"An event is a JSON object: {error}.") from error
    _work(client_id, lambda desk, tenant: desk.edit(tenant, row_id, body))
    click.echo(f"{row_id} is edited; `grove quarantine replay` has it stored.")


@command.command("replay")
@named_or_all
def replay(client_id: str, wanted: dict[str, Any]) -> None:
    """Take refused events through the steps again; each is stored once.

    Exit status 1 if some are refused again, or one that was named is not there.
    """
    order = ReplayOrder(**wanted)
    answers = _work(client_id, lambda desk, tenant: _replay_all(desk, tenant, order))
    for answer in answers:
        for each in answer.data:
            if each.code is not None:
                click.echo(f"{each.id} {each.code} {each.pointer} {each.detail}", err=True)
    refused = sum(answer.quarantined for answer in answers)
    stored, duplicates = sum(answer.stored for answer in answers), sum(answer.duplicates for answer in answers)
    gone = sum(answer.gone for answer in answers)
    click.echo(f"{stored} stored, {duplicates} known before, {refused} refused again{_not_found(gone)}.")
    if refused or (gone and order.ids is not None):
        sys.exit(1)


@command.command("purge")
@named_or_all
def purge(client_id: str, wanted: dict[str, Any]) -> None:
    """Delete refused events for good. Exit status 1 if one that was named is not there."""
    order = PurgeOrder(**wanted, all=wanted["ids"] is None)
    purged = _work(client_id, lambda desk, tenant: desk.purge(tenant, order)).purged
    gone = 0 if order.ids is None else len(set(order.ids)) - purged
    click.echo(f"{purged} purged{_not_found(gone)}.")
    if gone:
        sys.exit(1)


async def _replay_all(desk: QuarantineDesk, tenant: TenantContext, order: ReplayOrder) -> list[ReplayAnswer]:
    answers = [await desk.replay(tenant, order)]
    while answers[-1].meta.next is not None:
        answers.append(await desk.replay(tenant, msgspec.structs.replace(order, cursor=answers[-1].meta.next)))
    return answers


def _work(client_id: str, ask: Callable[[QuarantineDesk, TenantContext], Awaitable[T]]) -> T:
    async def work(resources: WorkerResources) -> T:
        desk = QuarantineDesk(resources.control, resources.databases, resources.clock, CLI)
        return await ask(desk, await resources.registry.get_client(TenantId(client_id)))

    return administer(work)


def _not_found(gone: int) -> str:
    return f", {gone} not found" if gone else ""


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)


def _row_of(row: Quarantined) -> tuple[str, ...]:
    return str(row.id), f"{row.received_at:%Y-%m-%d %H:%M:%S}", row.event_id or "", row.code, row.pointer, row.detail
