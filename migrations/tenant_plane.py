"""Migrate one client's schema with Alembic, in one transaction under the client's owner role.

Called by `migrations.fanout` and by onboarding with an administrator's connection to the client's database.
Alembic's global `op` is not used: many clients are migrated side by side in one event loop.
"""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.ids import function_prefix, quote
from tenants.placement import Placement

LOCK_TIMEOUT_MS = 3_000
STATEMENT_TIMEOUT_MS = 30_000
_FOLDER = Path(__file__).parent / "tenant"


class TenantSchema(msgspec.Struct, frozen=True, kw_only=True):
    """The quoted names that a tenant migration puts into its SQL. `fn` begins those of functions."""

    schema: str
    fn: str
    owner: str
    writer: str
    reader: str
    login: str

    def render(self, sql: str) -> str:
        """Put the names in place of `{{schema}}`, `{{writer}}`, …."""
        for name in self.__struct_fields__:
            sql = sql.replace("{{" + name + "}}", getattr(self, name))
        return sql

    def run_file(self, op: Operations, name: str) -> None:
        """Run a file of statements that lies beside the revision, all in one round trip.

        Errors: asyncpg.PostgresError.
        """
        sql = self.render((_FOLDER / "versions" / name).read_text(encoding="utf-8"))
        adapted: Any = op.get_bind().connection.dbapi_connection
        adapted.run_async(lambda driver: driver.execute(sql))


def schema_names(placement: Placement) -> TenantSchema:
    """Quote the names of a placement."""
    return TenantSchema(
        schema=quote(placement.schema),
        fn=function_prefix(placement.schema),
        owner=quote(placement.owner_role),
        writer=quote(placement.writer_role),
        reader=quote(placement.reader_role),
        login=quote(placement.login_role),
    )


@cache
def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return ScriptDirectory.from_config(config)


def head_revision() -> str:
    """Name the newest tenant revision."""
    head = _scripts().get_current_head()
    if head is None:
        message = "there is no tenant migration"
        raise LookupError(message)
    return head


async def upgrade_tenant(engine: AsyncEngine, placement: Placement) -> str:
    """Bring one client's schema to the newest revision and return it.

    A second migrator of the same client waits for the first, then finds nothing to do. All or nothing.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, placement)
    return head_revision()


def _upgrade(connection: Connection, placement: Placement) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:schema))"), {"schema": placement.schema})
    connection.execute(text(f"SET LOCAL ROLE {quote(placement.owner_role)}"))
    connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
    connection.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"))

    def steps(revision: Any, _context: MigrationContext) -> Any:
        return _scripts()._upgrade_revs("head", revision)  # noqa: SLF001 - what alembic's own command passes

    options = {"version_table_schema": placement.schema, "fn": steps, "transactional_ddl": True}
    context = MigrationContext.configure(connection, opts=options)
    context.run_migrations(op=Operations(context), schema=schema_names(placement))
