"""Make the clients of a file so, as often as one likes: `grove tenant apply FILE`.

Called by the CLI, which has the whole file checked and then gives each client a transaction of its own.
"""

import tomllib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from migrations.partitions import INTERVALS
from provisioning.audit import Actor
from provisioning.grafana.orders import follow_change
from provisioning.lifecycle import change_client
from provisioning.onboarding import Examined, Onboarding, check_domain_free
from provisioning.reattaching import examine_url, take_url
from provisioning.requests import ClientChange, NewClient
from provisioning.retention import follow_retention
from provisioning.validation import check_client_change, check_new_client
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import GroveError, InputRefused, WrongState
from tenants.models import Client, PlacementRow
from tenants.vault import Vault

# What is decided when a client is made, and not changed by a file.
_FIXED = frozenset({"id", "placement", "grafanaOrgId"})


class Wanted(msgspec.Struct, frozen=True):
    """A client of a file: `new` to make it of, and `change`, which holds only what the file says, if it is there."""

    new: NewClient
    change: ClientChange


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done for one client. `did`: created (run its operation), changed, unchanged."""

    client_id: str
    did: str
    changed: list[str] = []
    operation_id: uuid.UUID | None = None


class _ClientsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clients: list[dict[str, Any]]


def read_clients(path: Path) -> list[Wanted]:
    """Read a file of clients: `{"clients": [...]}` as JSON, or `[[clients]]` tables as TOML.

    Errors: InputRefused, with the client and the place of each fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            read = msgspec.convert(tomllib.loads(text), _ClientsFile)
        elif path.suffix == ".json":
            read = msgspec.json.decode(text, type=_ClientsFile)
        else:
            raise InputRefused(f"{path.name} must end in .json or .toml.")
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused(f"{path} cannot be read.") from error
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError) as error:
        raise InputRefused(f"{path.name}: {error}") from error
    wanted = _read_each(path, read.clients)
    ids = [each.new.id for each in wanted]
    twice = sorted({client_id for client_id in ids if ids.count(client_id) > 1})
    if twice:
        raise InputRefused(f"{path.name} names {', '.join(twice)} more than once.")
    return wanted


def _read_each(path: Path, entries: Sequence[dict[str, Any]]) -> list[Wanted]:
    wanted, faults = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            changing = {name: value for name, value in entry.items() if name not in _FIXED}
            wanted.append(Wanted(msgspec.convert(entry, NewClient), msgspec.convert(changing, ClientChange)))
        except msgspec.ValidationError as error:
            faults.append((str(entry.get("id", f"client {number}")), f"{error}"))
    if faults:
        raise InputRefused(f"{path.name} cannot be read.", errors=faults)
    return wanted


async def check_clients(
    control: ControlPlane, onboarding: Onboarding, wanted: Sequence[Wanted], *, vault: Vault
) -> None:
    """Judge all clients of a file, and the databases that they name, before anything is made of any.

    Errors: InputRefused, whose pointers begin with the client's id.
    """
    faults: list[tuple[str, str]] = []
    domains: dict[str, str] = {}
    for each in wanted:
        client_id, domain = each.new.id, each.new.domain
        try:
            await _check_client(control, onboarding, each, vault)
        except InputRefused as error:
            found = error.errors or [("", error.detail)]
            faults += [(f"{client_id}: {pointer}" if pointer else client_id, detail) for pointer, detail in found]
        except GroveError as error:
            faults.append((f"{client_id}: {error.field}" if error.field else client_id, error.detail))
        if domain is not None and domains.setdefault(domain, client_id) != client_id:
            faults.append((f"{client_id}: /domain", f"{domains[domain]} has this domain."))
    if faults:
        raise InputRefused("Nothing was applied.", errors=faults)


async def apply_client(
    session: AsyncSession,
    onboarding: Onboarding,
    wanted: Wanted,
    actor: Actor,
    *,
    clock: Clock,
    vault: Vault,
    grace_days: int,
) -> Applied:
    """Make one client so: create it if missing, else change what the file gives and leave alone what it leaves out.

    Shape: call it after `check_clients`, which looks into given databases. The client's Grafana and its partitions
    follow by operations of their own.
    Errors: as `Onboarding.request`; InputRefused (`/placement/…`) where an existing client would have to move;
    WrongState while it is being deleted.
    """
    client_id = wanted.new.id
    client = await session.get(Client, client_id)
    if client is None:
        operation_id = await onboarding.request(session, Examined(wanted.new), actor)
        return Applied(client_id=client_id, did="created", operation_id=operation_id)
    await _check_stays(session, client, wanted.new)
    changed = await change_client(session, client_id, wanted.change, actor, now=clock(), grace_days=grace_days)
    url = wanted.new.placement.url
    if url is not None and await take_url(session, client_id, url, actor, vault=vault):
        changed = [*changed, "placement.url"]
    await follow_change(session, client, changed, actor)
    follow_retention(session, client, changed, actor)
    return Applied(client_id=client_id, did="changed" if changed else "unchanged", changed=changed)


async def _check_client(control: ControlPlane, onboarding: Onboarding, wanted: Wanted, vault: Vault) -> None:
    new = wanted.new
    async with control.session() as session:
        client = await session.get(Client, new.id)
        if client is not None:
            check_new_client(new, reserved=frozenset())
            check_client_change(wanted.change, rate=client.rate_limit)
            await check_domain_free(session, new.domain, new.id)
            await _check_stays(session, client, new)
            if new.placement.url is not None:
                await examine_url(session, new.id, new.placement.url, vault=vault)
            return
    examined = await onboarding.examine(control, new)
    if examined.refusal is not None:
        raise examined.refusal


async def _check_stays(session: AsyncSession, client: Client, wanted: NewClient) -> None:
    """Refuse what a file cannot change."""
    if client.status == "deleting":
        raise WrongState("The client is being deleted; restore it first.")
    faults = []
    if wanted.grafana_org_id not in {None, client.grafana_org_id}:
        faults.append(("/grafanaOrgId", "An organisation is given when a client is made."))
    row = await session.get(PlacementRow, client.id)
    if row is not None:
        faults += _moves(row, wanted)
    if faults:
        raise InputRefused(faults[0][1], errors=faults)


def _moves(row: PlacementRow, wanted: NewClient) -> list[tuple[str, str]]:
    place, faults = wanted.placement, []
    if place.kind != row.kind:
        faults.append(("/placement/kind", f"{wanted.id} is of kind {row.kind}; a client is moved, not changed."))
    if place.server is not None and place.server != row.server:
        faults.append(("/placement/server", f"{wanted.id} is on server {row.server}; a client is moved, not changed."))
    # One that was given may have become shorter since, where many events come.
    given = place.partition_interval
    if given is not None and INTERVALS.index(given) > INTERVALS.index(row.partition_interval):
        faults.append(("/placement/partitionInterval", f"The interval of {wanted.id} is {row.partition_interval}."))
    return faults
