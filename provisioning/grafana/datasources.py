"""The datasources of a client's organisation: its own tables, and the attached database where there is one.

Each reads through a login that can do nothing but read this client. Grafana never tells a password back, so whether
the one that it has is right is asked of its health check.
"""

import asyncio
import time
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec
from sqlalchemy import update

from provisioning.grafana.changes import Change
from provisioning.grafana.client import Missing, make_once
from provisioning.grafana.organisations import DATASOURCE
from provisioning.grafana.visit import Room, Visit
from provisioning.roles import LoginReader, ensure_login_reader, lock_server
from provisioning.scram import random_password
from provisioning.work import administrator
from tenants.errors import GrafanaRefused, GrafanaUnavailable
from tenants.models import PlacementRow
from tenants.registry import MAIN_SERVER

SOURCE = "source"
# Hundreds of clients share a server's connections: few at a time, and none while nobody looks.
MAX_OPEN = 3
MAX_IDLE = 0
LIFETIME_S = 60
# Grafana keeps what it knows of a datasource for five seconds.
REMEMBERED_S = 8.0
PAUSE_S = 0.1
_UNREAD = "Grafana cannot read the database."
_TLS_MODES = frozenset({"disable", "require", "verify-ca", "verify-full"})
_DEFAULT_PORT = 5432


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A database as Grafana is to reach it."""

    uid: str
    name: str
    address: str
    database: str
    user: str
    password: str
    tls: str
    server_version: int


async def ensure_datasources(visit: Visit) -> str:
    """Have each datasource as it should be, with the recorded password.

    Errors: GrafanaUnavailable while Grafana does not reach a database.
    """
    targets = await _targets(visit)
    for target in targets:
        await ensure_datasource(visit, await describe(visit, target))
    return ", ".join(target.uid for target in targets)


async def check_datasources(visit: Visit) -> str:
    """Have Grafana connect through each datasource; where it cannot, set the password anew, in Postgres and in Grafana.

    Errors: GrafanaUnavailable if it still cannot.
    """
    uids = [DATASOURCE] if visit.place.row.source_url_sealed is None else [DATASOURCE, SOURCE]
    broken = [uid for uid in uids if not await is_healthy(visit, uid)]
    for target in await _targets(visit) if broken else []:
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
    target = (await _targets(visit))[0]
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


async def _targets(visit: Visit) -> list[Target]:
    work, row = visit.work, visit.place.row
    if row.login_password_sealed is None:
        message = "the client's login has no recorded password"
        raise LookupError(message)
    url = work.administrator_url(visit.place, database=row.database)
    async with administrator(url) as connection:
        tls, version = await ask_server(connection, url)
    address = visit.grafana.database_host if visit.place.server.name == MAIN_SERVER else None
    own = Target(
        uid=DATASOURCE, name="Analytics", address=address_of(url, address), database=row.database,
        user=row.login_role, password=work.vault.open(row.login_password_sealed), tls=tls, server_version=version,
    )  # fmt: skip
    if row.source_url_sealed is None:
        return [own]
    return [own, await _source(work.vault.open(row.source_url_sealed))]


async def _source(url: str) -> Target:
    """Describe the attached database, which Grafana reads through the login that Grove reads it with."""
    parts = urlsplit(url)
    async with administrator(url) as connection:
        tls, version = await ask_server(connection, url)
    return Target(
        uid=SOURCE, name="Attached database", address=address_of(url), database=unquote(parts.path[1:]),
        user=unquote(parts.username or ""), password=unquote(parts.password or ""), tls=tls, server_version=version,
    )  # fmt: skip


async def ask_server(connection: asyncpg.Connection, url: str) -> tuple[str, int]:
    """Find whether to encrypt, as the URL says or else as our own connection turned out, and the server's version."""
    version: int = await connection.fetchval("SELECT pg_catalog.current_setting('server_version_num')::int")
    asked = dict(pair.partition("=")[::2] for pair in urlsplit(url).query.split("&")).get("sslmode")
    if asked in _TLS_MODES:
        return str(asked), version
    encrypted = await connection.fetchval("SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()")
    return ("require" if encrypted else "disable"), version


def address_of(url: str, other: str | None = None) -> str:
    """Write where a database's server is, by its URL unless Grafana reaches it elsewhere."""
    address = other or urlsplit(url).netloc.rpartition("@")[2]
    return address if urlsplit(f"//{address}").port is not None else f"{address}:{_DEFAULT_PORT}"


async def describe(room: Room, target: Target) -> dict[str, Any]:
    """Write a datasource as Grafana takes it; `database` stands where old and where new versions look for it."""
    version = await room.grafana.check_version()
    return {
        "name": target.name,
        "uid": target.uid,
        "type": version.datasource_type,
        "access": "proxy",
        "url": target.address,
        "database": target.database,
        "user": target.user,
        "isDefault": target.uid == DATASOURCE,
        "jsonData": {
            "database": target.database,
            "sslmode": target.tls,
            "postgresVersion": target.server_version // 10000 * 100,
            "maxOpenConns": MAX_OPEN,
            "maxIdleConns": MAX_IDLE,
            "maxIdleConnsAuto": False,
            "connMaxLifetime": LIFETIME_S,
        },
        "secureJsonData": {"password": target.password},
    }


def _differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    # Later versions tell the database in `jsonData` alone.
    plain = {key: value for key, value in wanted.items() if key not in {"database", "jsonData", "secureJsonData"}}
    differing = [key for key, value in plain.items() if found.get(key) != value]
    inner = found.get("jsonData") or {}
    return differing + [key for key, value in wanted["jsonData"].items() if inner.get(key) != value]
