"""The login behind the platform's own dashboards: it reads some columns of the control plane, and nothing of a client.

Called by bootstrap with an administrator's URL. Grafana's datasource of the platform's organisation uses it.
"""

from pathlib import Path

import asyncpg

from provisioning.roles import LoginReader, ensure_login_reader, lock_server, may_make_roles
from provisioning.work import administrator
from tenants.ids import quote
from tenants.vault import Vault

PLATFORM_READER = "grove_platform_reader"
_GRANTS = Path(__file__).parent / "sql" / "platform_grants.sql"


async def ensure_platform_reader(url: str, *, vault: Vault) -> bool:
    """Make the login with its rights, after the control plane and the job queue; False where it may not be made."""
    async with administrator(url) as connection:
        if not await may_make_roles(connection):
            return False
        try:
            async with connection.transaction():
                await lock_server(connection)
                await ensure_login_reader(connection, LoginReader(PLATFORM_READER, platform_password(vault), "grove"))
                await _grant(connection)
        except asyncpg.InsufficientPrivilegeError:
            # Another administrator of this server has made it, for a Grove of theirs.
            return False
    return True


async def _grant(connection: asyncpg.Connection) -> None:
    """Write the login's rights anew, so that what it once had is not kept."""
    role = quote(PLATFORM_READER)
    database = await connection.fetchval("SELECT pg_catalog.current_database()")
    await connection.execute(
        f"GRANT CONNECT ON DATABASE {quote(database)} TO {role}; "
        f"REVOKE ALL ON ALL TABLES IN SCHEMA grove, grove_jobs FROM {role};\n"
        + _GRANTS.read_text(encoding="utf-8").replace("{{login}}", role)
    )


def platform_password(vault: Vault) -> str:
    """Derive the login's password."""
    return vault.password_for(f"read/{PLATFORM_READER}")
