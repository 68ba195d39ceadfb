"""Choose and record where a client will live, before anything is made, so that nothing made is ever without a record.

The first step of onboarding, and the last of removal.
"""

from urllib.parse import unquote, urlsplit

import msgspec
from sqlalchemy import delete, exists, select

from provisioning.databases_check import source_map
from provisioning.requests import NewPlacement
from provisioning.roles import may_make_roles
from provisioning.scram import random_password
from provisioning.work import Step, Work, administrator
from tenants.errors import InputRefused
from tenants.ids import opaque_name
from tenants.models import ApiKey, Client, PlacementRow, Server
from tenants.placement import PlacementKind
from tenants.registry import MAIN_SERVER, administrator_url, with_login
from tenants.revocations import revoke


def stored_placement(placement: NewPlacement) -> dict[str, object]:
    """Write a placement as an operation's input, without its URL."""
    return {"placement": {k: v for k, v in msgspec.to_builtins(placement).items() if k != "url"}}


async def ensure_place(work: Work) -> str:
    """Record names for everything that will be made."""
    place = await work.find_place()
    if place is None:
        row, server = await _choose(work)
        async with work.control.session() as session:
            if server is not None:
                session.add(server)
                await session.flush()
            session.add(row)
        return f"kind {row.kind}"
    return f"kind {place.row.kind}"


async def forget_place(work: Work) -> None:
    """Take the client out of the registry, with its place, its keys and the server that was recorded for it alone."""
    async with work.control.session() as session:
        row = await session.get(PlacementRow, work.client_id)
        await session.execute(delete(ApiKey).where(ApiKey.client_id == work.client_id))
        await session.execute(delete(PlacementRow).where(PlacementRow.client_id == work.client_id))
        await session.execute(delete(Client).where(Client.id == work.client_id))
        if row is not None and row.server_made:
            unused = ~exists(select(PlacementRow.client_id).where(PlacementRow.server == row.server))
            await session.execute(delete(Server).where(Server.name == row.server, unused))
        revoke(session, "client", work.client_id)


async def _choose(work: Work) -> tuple[PlacementRow, Server | None]:
    wanted = msgspec.convert(work.order["placement"], NewPlacement)
    server, made = await _choose_server(work, wanted)
    base, own = opaque_name(), wanted.kind == PlacementKind.DATABASE and made is None
    admin_url = administrator_url(server, main_url=work.main_url, vault=work.vault)
    row = PlacementRow(
        client_id=work.client_id, kind=wanted.kind, server=server.name, database_made=own, server_made=made is not None,
        database=opaque_name() if own else unquote(urlsplit(admin_url).path.removeprefix("/")), schema=base,
        owner_role=f"{base}_o", writer_role=f"{base}_w", reader_role=f"{base}_r", login_role=f"{base}_l",
        login_password_sealed=work.vault.seal(random_password()),
        partition_interval=wanted.partition_interval or "year",
    )  # fmt: skip
    if server.serve_login is None:
        login = await _login_of(admin_url)
        row.owner_role = row.writer_role = row.reader_role = row.login_role = login
        row.login_password_sealed = None
    if wanted.kind == PlacementKind.EXTERNAL:
        _choose_source(work, wanted, row)
    return row, made


async def _choose_server(work: Work, wanted: NewPlacement) -> tuple[Server, Server | None]:
    """Take a registered server, or make a row for the one that a URL of kind `database` points at."""
    if wanted.kind == PlacementKind.DATABASE and work.secrets.url is not None:
        async with administrator(work.secrets.url) as connection:
            walled = await may_make_roles(connection)
        name = opaque_name()
        login = f"{name}_s" if walled else None
        made = Server(name=name, admin_url_sealed=work.vault.seal(work.secrets.url), serve_login=login)
        return made, made
    async with work.control.session() as session:
        server = await session.get(Server, wanted.server or MAIN_SERVER)
    if server is None:
        raise InputRefused("There is no server of this name.", field="/placement/server")
    return server, None


def _choose_source(work: Work, wanted: NewPlacement, row: PlacementRow) -> None:
    url = work.secrets.url
    if url is None:
        message = "an attached database's URL is erased only when the operation has ended"
        raise LookupError(message)
    row.source_role = opaque_name()
    row.source_admin_url_sealed = work.vault.seal(url)
    row.source_url_sealed = work.vault.seal(with_login(url, user=row.source_role, password=random_password()))
    row.source_map = msgspec.to_builtins(source_map(wanted))


async def _login_of(url: str) -> str:
    async with administrator(url) as connection:
        return str(await connection.fetchval("SELECT current_user"))


PLACE = Step("placement", ensure_place, forget_place)
