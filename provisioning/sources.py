"""The read-only login to an attached client database. A step of onboarding and of `reattaching`; undone by removal.

Nothing else of that database is touched: it is the client's.
"""

from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec
from sqlalchemy import update

from provisioning.databases_check import may_write
from provisioning.roles import LoginReader, close_login, drop_role, ensure_login_reader, may_make_roles
from provisioning.validation import CHAT_TABLES
from provisioning.work import Skipped, Step, Work, administrator
from tenants.errors import DatabaseRefused
from tenants.ids import quote
from tenants.models import PlacementRow
from tenants.placement import SourceMap


async def ensure_source(work: Work) -> str:
    """Make a login that reads the chatbot tables alone, or keep the given one if that is all it can do."""
    place = await work.get_place()
    if place.row.source_url_sealed is None:
        raise Skipped("no database is attached")
    if place.row.source_admin_url_sealed is None:
        return "the given login only reads"
    given = work.vault.open(place.row.source_admin_url_sealed)
    async with administrator(given) as connection:
        if not await may_write(connection):
            await _keep_given(work, given)
            return "the given login only reads"
        if not await may_make_roles(connection):
            raise DatabaseRefused("The login can write and cannot make one that only reads.", field="/placement/url")
        if place.row.source_map is None:
            message = "an attached database was recorded without its map"
            raise LookupError(message)
        source_url = work.vault.open(place.row.source_url_sealed)
        await make_login(connection, source_url, msgspec.convert(place.row.source_map, SourceMap))
    async with administrator(work.vault.open(place.row.source_url_sealed)) as connection:
        writes = await may_write(connection)
    return "a login of its own that only reads" + (", though everybody may make objects there" if writes else "")


async def drop_source(work: Work) -> None:
    """Drop the login that was made in the attached database."""
    place = await work.find_place()
    if place is None or place.row.source_admin_url_sealed is None or place.row.source_role is None:
        return
    async with administrator(work.vault.open(place.row.source_admin_url_sealed)) as connection:
        if await may_make_roles(connection):
            await close_login(connection, place.row.source_role)
            await drop_role(connection, place.row.source_role)


async def _keep_given(work: Work, url: str) -> None:
    async with work.control.session() as session:
        query = update(PlacementRow).where(PlacementRow.client_id == work.client_id)
        await session.execute(
            query.values(source_url_sealed=work.vault.seal(url), source_admin_url_sealed=None, source_role=None)
        )


async def make_login(connection: asyncpg.Connection, source_url: str, source: SourceMap) -> None:
    """Make the login that a URL names, with its password, and let it read the chatbot tables alone."""
    parts = urlsplit(source_url)
    name = unquote(parts.username or "")
    async with connection.transaction():
        await ensure_login_reader(connection, LoginReader(name, unquote(parts.password or ""), source.schema))
        database, role = await connection.fetchval("SELECT pg_catalog.current_database()"), quote(name)
        await connection.execute(
            f"GRANT CONNECT ON DATABASE {quote(database)} TO {role}; "
            f"GRANT USAGE ON SCHEMA {quote(source.schema)} TO {role}"
        )
        for table in [source.tables.get(ours, ours) for ours in CHAT_TABLES]:
            qualified = f"{quote(source.schema)}.{quote(table)}"
            if await connection.fetchval("SELECT pg_catalog.to_regclass($1) IS NOT NULL", qualified):
                await connection.execute(f"GRANT SELECT ON {qualified} TO {role}")


SOURCE = Step("source", ensure_source, drop_source)
