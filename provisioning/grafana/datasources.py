"""The datasources of a client's organisation: its own tables, and the attached database where there is one.

Each reads through a login that can do nothing but read this client. Grafana never tells a password back, so whether
the one that it has is right is asked of its health check.
"""

import asyncio
import time
from typing import Any

import asyncpg
from sqlalchemy import update

from provisioning.grafana.changes import Change
from provisioning.grafana.client import Missing, make_once
from provisioning.grafana.connections import SOURCE, Target, describe, targets_of
from provisioning.grafana.visit import Room, Visit
from provisioning.roles import LoginReader, ensure_login_reader, lock_server
from provisioning.scram import random_password
from provisioning.templates import DATASOURCE
from tenants.errors import GrafanaRefused, GrafanaUnavailable
from tenants.models import PlacementRow

# Grafana keeps what it knows of a datasource for five seconds.
REMEMBERED_S = 8.0
PAUSE_S = 0.1
_UNREAD = "Grafana cannot read the database."


async def ensure_datasources(visit: Visit) -> str:
    """Have each datasource as it should be, with the recorded password.

    Errors: GrafanaUnavailable while Grafana does not reach a database.
    """
    targets = await targets_of(visit)
    for target in targets:
        await ensure_datasource(visit, await describe(visit, target))
    return ", ".join(target.uid for target in targets)


async def check_datasources(visit: Visit) -> str:
    """Have Grafana connect through each datasource; where it cannot, set the password anew, in Postgres and in Grafana.

    Errors: GrafanaUnavailable if it still cannot.
    """
    uids = [DATASOURCE] if visit.place.row.source_url_sealed is None else [DATASOURCE, SOURCE]
    broken = [uid for uid in uids if not await is_healthy(visit, uid)]
    for target in await targets_of(visit) if broken else []:
        if target.uid in broken:
            change = Change("change", "datasource", target.uid, "does not reach the database")
            await visit.changes.make(change, lambda target=target: _mend(visit, target))  # type: ignore[misc]
    return "Grafana reads the database"


async def rotate_password(visit: Visit) -> str:
    """Give the client's login another password: recorded first, then told to Grafana, then set in Postgres.

    Grafana goes on with the old one for up to five seconds. Postgres changes when Grafana first comes with the new one,
    so that dashboards fail for a fraction of a second. A run that is cut off leaves a recorded password that the next
    check of health finds and sets.
    """
    async with visit.work.control.session() as session:
        query = update(PlacementRow).where(PlacementRow.client_id == visit.site.client_id)
        sealed = visit.work.vault.seal(random_password())
        await session.execute(query.values(login_password_sealed=sealed))
    place = await visit.work.get_place()
    visit.place = place
    target = (await targets_of(visit))[0]
    wanted = await describe(visit, target)
    async with visit.work.on_server(place) as connection:
        await _put(visit, wanted)
        await _until(visit, DATASOURCE, healthy=False)
        await _set_password(visit, target, connection)
    if not await _until(visit, DATASOURCE, healthy=True):
        raise GrafanaUnavailable(_UNREAD)
    return "a new password"


async def drop_datasources(visit: Visit) -> None:
    """Take the datasources out of an organisation that stays."""
    for uid in (DATASOURCE, SOURCE):
        await visit.grafana.delete(f"/api/datasources/uid/{uid}", org=visit.org)


async def ensure_datasource(room: Room, wanted: dict[str, Any]) -> None:
    """Have a datasource as it is described; what its password is cannot be seen."""
    uid = wanted["uid"]
    path = f"/api/datasources/uid/{uid}"
    found = await room.find_inside(path)
    if found is None:

        async def make() -> None:
            await make_once(
                lambda: room.grafana.create("/api/datasources", wanted, org=room.org),
                lambda: room.grafana.find(path, org=room.org),
            )

        await room.changes.make(Change("create", "datasource", uid), make)
        return
    differing = _differences(wanted, found)
    if differing:
        change = Change("change", "datasource", uid, ", ".join(differing))
        await room.changes.make(change, lambda: room.grafana.put(path, wanted, org=room.org))


async def _mend(visit: Visit, target: Target) -> None:
    if target.uid == DATASOURCE:
        async with visit.work.on_server(visit.place) as connection:
            await _set_password(visit, target, connection)
    wanted = await describe(visit, target)
    await ensure_datasource(visit, wanted)
    await set_anew(visit, wanted)


async def _set_password(visit: Visit, target: Target, connection: asyncpg.Connection) -> None:
    reader = LoginReader(target.user, target.password, visit.place.row.schema)
    async with connection.transaction():
        await lock_server(connection)
        await ensure_login_reader(connection, reader)


async def set_anew(room: Room, wanted: dict[str, Any]) -> None:
    """Write a datasource with its password, and wait until Grafana connects.

    Errors: GrafanaUnavailable if it does not.
    """
    await _put(room, wanted)
    if not await _until(room, wanted["uid"], healthy=True):
        raise GrafanaUnavailable(_UNREAD)


async def _put(room: Room, wanted: dict[str, Any]) -> None:
    await room.grafana.put(f"/api/datasources/uid/{wanted['uid']}", wanted, org=room.org)


async def _until(room: Room, uid: str, *, healthy: bool) -> bool:
    """Wait, for as long as Grafana may use what it remembers, until it reaches a database, or does not any more."""
    ends_at = time.monotonic() + REMEMBERED_S
    while time.monotonic() < ends_at:
        if await is_healthy(room, uid) == healthy:
            return True
        await asyncio.sleep(PAUSE_S)
    return False


async def is_healthy(room: Room, uid: str) -> bool:
    """Tell whether Grafana reaches a database through a datasource."""
    try:
        answer = await room.grafana.get(f"/api/datasources/uid/{uid}/health", org=room.org)
    except (GrafanaRefused, Missing):
        return False
    return bool(answer.get("status") == "OK")


def _differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    # Later versions tell the database in `jsonData` alone.
    plain = {key: value for key, value in wanted.items() if key not in {"database", "jsonData", "secureJsonData"}}
    differing = [key for key, value in plain.items() if found.get(key) != value]
    inner = found.get("jsonData") or {}
    return differing + [key for key, value in wanted["jsonData"].items() if inner.get(key) != value]
