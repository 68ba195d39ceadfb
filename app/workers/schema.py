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
LOCK_TIMEOUT_MS = 30_000


async def ensure_job_tables(url: str, *, serving_login: str | None) -> None:
    """Create or upgrade the queue's tables and let the serving login put jobs in, nothing more.

    A second caller waits for the first, then finds nothing to do.
    """
    settings = {"application_name": "grove", "lock_timeout": str(LOCK_TIMEOUT_MS), "search_path": JOB_SCHEMA}
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0, server_settings=settings)
    try:
        # Held until the connection is closed.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await _upgrade(connection)
        if serving_login is not None:
            await connection.execute(_grants(serving_login))
    finally:
        await connection.close()


async def _upgrade(connection: asyncpg.Connection) -> None:
    """Run what this database has not had; the full schema of a fresh one holds every migration of its version."""
    await connection.execute(
        f"CREATE SCHEMA IF NOT EXISTS {JOB_SCHEMA}; CREATE TABLE IF NOT EXISTS {JOB_SCHEMA}.applied "
        "(name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
    )
    applied = {row["name"] for row in await connection.fetch("SELECT name FROM applied")}
    migrations = _read_migrations()
    if _FULL not in applied:
        await _run(connection, SchemaManager.get_schema(), [_FULL, *migrations])
        return
    for name, sql in migrations.items():
        if name not in applied:
            await _run(connection, sql, [name])


def _read_migrations() -> dict[str, str]:
    """Read the library's migrations, in order."""
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return {file.name: file.read_text(encoding="utf-8") for file in files}


async def _run(connection: asyncpg.Connection, sql: str, names: list[str]) -> None:
    async with connection.transaction():
        await connection.execute(sql)
        await connection.execute("INSERT INTO applied (name) SELECT unnest($1::text[])", names)


def _grants(login: str) -> str:
    """Write what it takes to defer a job: insert it, its event, and read back its id.

    The lock is readable because the library finds "already queued" in the error's detail, which Postgres gives
    only to those who may read the column. A trigger of the library rings with pg_notify, which hardening takes
    from everybody.
    """
    role = quote(login)
    return (
        f"GRANT USAGE ON SCHEMA {JOB_SCHEMA} TO {role}; "
        f"GRANT INSERT, SELECT (id, queueing_lock) ON {JOB_SCHEMA}.procrastinate_jobs TO {role}; "
        f"GRANT INSERT ON {JOB_SCHEMA}.procrastinate_events TO {role}; "
        f"GRANT USAGE ON SEQUENCE {JOB_SCHEMA}.procrastinate_jobs_id_seq, "
        f"{JOB_SCHEMA}.procrastinate_events_id_seq TO {role}; "
        f"GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO {role}"
    )
