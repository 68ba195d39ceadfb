"""The logins and roles of a client on its server. Steps of onboarding; undone by removal."""

from provisioning.roles import (
    LoginReader,
    client_roles,
    close_login,
    drop_role,
    ensure_login_reader,
    ensure_membership,
    ensure_owner,
    ensure_role,
    ensure_serving_login,
    lock_server,
    role_exists,
)
from provisioning.work import Skipped, Step, Work

_ONE_LOGIN = "the given login may make no roles and serves as each of them"


async def ensure_server_access(work: Work) -> str:
    """Make the serving login of a server that was recorded for this client; others have theirs already."""
    place = await work.get_place()
    login = place.server.serve_login
    if login is None:
        raise Skipped(_ONE_LOGIN)
    async with work.on_server(place) as connection:
        if place.row.server_made:
            password = work.vault.password_for(f"serve/{place.server.name}")
            await ensure_serving_login(connection, login, password)
        elif not await role_exists(connection, login):
            message = "the server's serving login is gone; start Grove anew to make it"
            raise LookupError(message)
    return "served through a login that owns nothing"


async def drop_server_access(work: Work) -> None:
    """Drop the serving login of a server that was recorded for this client."""
    place = await work.find_place()
    if place is not None and place.row.server_made and place.server.serve_login is not None:
        async with work.on_server(place) as connection:
            await close_login(connection, place.server.serve_login)
            await drop_role(connection, place.server.serve_login)


async def ensure_roles(work: Work) -> str:
    """Make owner, writer, reader and the login reader, and let the serving login take writer and reader."""
    place = await work.get_place()
    row, login = place.row, place.server.serve_login
    if login is None or row.login_password_sealed is None:
        raise Skipped(_ONE_LOGIN)
    reader = LoginReader(row.login_role, work.vault.open(row.login_password_sealed), row.schema)
    async with work.on_server(place) as connection, connection.transaction():
        await lock_server(connection)
        await ensure_owner(connection, row.owner_role, shared=not (row.database_made or row.server_made))
        await ensure_role(connection, row.writer_role)
        await ensure_role(connection, row.reader_role)
        await ensure_membership(connection, [row.writer_role, row.reader_role], login)
        await ensure_login_reader(connection, reader)
    return "owner, writer, reader and login reader"


async def drop_roles(work: Work) -> None:
    """Drop the client's roles, with what they were granted; their sessions are ended first."""
    place = await work.find_place()
    if place is None or not place.walled:
        return
    async with work.on_server(place) as connection:
        await close_login(connection, place.row.login_role)
        async with connection.transaction():
            await lock_server(connection)
            for role in client_roles(place.row):
                await drop_role(connection, role)


SERVER_ACCESS = Step("server_access", ensure_server_access, drop_server_access)
ROLES = Step("roles", ensure_roles, drop_roles)
