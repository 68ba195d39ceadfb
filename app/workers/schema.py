"""The job queue's tables: schema `grove_jobs`, kept at the installed library's version.

Called by `app.bootstrap` with the administrator's URL. The library ships one full schema and a folder of
migrations, and leaves it to the application to know which of them a database already has.
"""

from pathlib import Path

import asyncpg
from procrastinate.schema import SchemaManager

from tenants.ids import quote

JOB_SCHEMA = "grove_jobs"
# Any number will do as long as no other program on the database takes the same one.
_LOCK = 0x67726F766A
_FULL = "schema"
LOCK_TIMEOUT_MS = 5_000


async def ensure_job_tables(url: str, *, serving_login: str | None) -> None:
    """Create or upgrade the queue's tables and let the serving login put jobs in, nothing more."""
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0, server_settings={"application_name": "grove"})
    try:
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS {JOB_SCHEMA}; CREATE TABLE IF NOT EXISTS {JOB_SCHEMA}.applied "
            "(name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
        )
        for name, sql in _scripts():
            async with connection.transaction():
                await _apply_once(connection, name, sql)
        if serving_login is not None:
            await connection.execute(_grants(serving_login))
    finally:
        await connection.close()


def _scripts() -> list[tuple[str, str]]:
    """List what brings any database up to date: the full schema first, then every migration in order."""
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return [(_FULL, SchemaManager.get_schema()), *((file.name, file.read_text(encoding="utf-8")) for file in files)]


async def _apply_once(connection: asyncpg.Connection, name: str, sql: str) -> None:
    """Run one script unless it was run before; a second caller waits for the first.

    The full schema of a fresh database holds all migrations of its version, so those count as run with it.
    """
    await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; SET LOCAL search_path = {JOB_SCHEMA}")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    known = await connection.fetchval(f"SELECT count(*) FROM {JOB_SCHEMA}.applied WHERE name = $1", name)
    if known:
        return
    names = [script for script, _ in _scripts()] if name == _FULL else [name]
    await connection.execute(sql)
    await connection.executemany(f"INSERT INTO {JOB_SCHEMA}.applied (name) VALUES ($1)", [(each,) for each in names])


def _grants(login: str) -> str:
    """Write what it takes to defer a job: insert it, its event, and read back its id."""
    role = quote(login)
    return (
        f"GRANT USAGE ON SCHEMA {JOB_SCHEMA} TO {role}; "
        f"GRANT INSERT, SELECT (id) ON {JOB_SCHEMA}.procrastinate_jobs TO {role}; "
        f"GRANT INSERT ON {JOB_SCHEMA}.procrastinate_events TO {role}; "
        f"GRANT USAGE ON SEQUENCE {JOB_SCHEMA}.procrastinate_jobs_id_seq, "
        f"{JOB_SCHEMA}.procrastinate_events_id_seq TO {role}"
    )
