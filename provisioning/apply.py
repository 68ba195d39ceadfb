"""Make the clients of a file so, as often as one likes: `grove tenant apply FILE`.

Called by the CLI, which gives each client a transaction of its own.
"""

import tomllib
import uuid
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor
from provisioning.lifecycle import change_client
from provisioning.onboarding import Onboarding
from provisioning.requests import ClientChange, NewClient
from tenants.clock import Clock
from tenants.errors import InputRefused, WrongState
from tenants.models import Client, PlacementRow


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done for one client. `did`: created (run its operation), changed, unchanged."""

    client_id: str
    did: str
    changed: list[str] = []
    operation_id: uuid.UUID | None = None


class _ClientsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clients: list[NewClient]


def read_clients(path: Path) -> list[NewClient]:
    """Read a file of clients: `{"clients": [...]}` as JSON, or `[[clients]]` tables as TOML.

    Errors: InputRefused, with the place of the fault.
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
    ids = [client.id for client in read.clients]
    twice = sorted({client_id for client_id in ids if ids.count(client_id) > 1})
    if twice:
        raise InputRefused(f"{path.name} names {', '.join(twice)} more than once.")
    return read.clients


async def apply_client(
    session: AsyncSession, onboarding: Onboarding, wanted: NewClient, actor: Actor, *, clock: Clock
) -> Applied:
    """Make one client so: create it if missing, change name, branding, domain and timezone where they differ.

    Errors: as `Onboarding.request`; InputRefused (`/placement/…`) where an existing client would have to move;
    WrongState while it is being deleted.
    """
    client = await session.get(Client, wanted.id)
    if client is None:
        operation_id = await onboarding.request(session, wanted, actor)
        return Applied(client_id=wanted.id, did="created", operation_id=operation_id)
    if client.status == "deleting":
        raise WrongState(f"{wanted.id} is being deleted; restore it first.")
    await _check_stays(session, wanted)
    change = ClientChange(name=wanted.name, timezone=wanted.timezone, domain=wanted.domain, branding=wanted.branding)
    changed = await change_client(session, wanted.id, change, actor, now=clock())
    return Applied(client_id=wanted.id, did="changed" if changed else "unchanged", changed=changed)


async def _check_stays(session: AsyncSession, wanted: NewClient) -> None:
    """Refuse another placement. A URL is not compared: what is stored may be a login of Grove's own making."""
    row = await session.get(PlacementRow, wanted.id)
    if row is None:
        return
    place = wanted.placement
    faults = []
    if place.kind != row.kind:
        faults.append(("/placement/kind", f"{wanted.id} is of kind {row.kind}; a client is moved, not changed."))
    if place.server is not None and place.server != row.server:
        faults.append(("/placement/server", f"{wanted.id} is on server {row.server}; a client is moved, not changed."))
    if place.partition_interval not in {None, row.partition_interval}:
        faults.append(("/placement/partitionInterval", f"The interval of {wanted.id} is {row.partition_interval}."))
    if faults:
        raise InputRefused(faults[0][1], errors=faults)
