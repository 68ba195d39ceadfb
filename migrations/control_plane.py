"""Migrate the control plane: one caller at a time, with limits on locks and statements.

Called by `app.bootstrap` with the administrator's URL.
"""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from tenants.control import ControlPlane
from tenants.ids import quote
from tenants.models import SCHEMA, Base

# Any number will do as long as no other program on the database takes the same one.
_LOCK = 0x67726F7665
LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 60_000


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "control"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
    connection.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quote(SCHEMA)}"))
    command.upgrade(_config(connection), "head")


async def upgrade_control_plane(control: ControlPlane) -> None:
    """Bring schema `grove` to the newest revision; a second caller waits, then finds nothing to do."""
    async with control.engine.begin() as connection:
        await connection.run_sync(_upgrade)


async def control_plane_drift(control: ControlPlane) -> list[object]:
    """Compare the database with the models; an empty list means that the migrations tell the same."""

    def compare(connection: Connection) -> list[object]:
        options = {"include_schemas": True, "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
        return [change for change in found if "alembic_version" not in str(change)]

    async with control.engine.connect() as connection:
        return await connection.run_sync(compare)
