"""How Grafana is to reach a database: where it is, through which login, and with how few connections.

Called by the datasources' module and by the platform's.
"""

from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec

from provisioning.grafana.visit import Room, Visit
from provisioning.templates import DATASOURCE
from provisioning.work import administrator
from tenants.registry import MAIN_SERVER

SOURCE = "source"
# Hundreds of clients share a server's connections: few at a time, and none while nobody looks.
MAX_OPEN = 3
MAX_IDLE = 0
LIFETIME_S = 60
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


async def targets_of(visit: Visit) -> list[Target]:
    """Describe the databases that a client's dashboards read: its own and, if there is one, the attached one."""
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
    return [own, await _source_of(work.vault.open(row.source_url_sealed))]


async def _source_of(url: str) -> Target:
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
