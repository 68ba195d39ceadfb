"""What commands that act as administrator begin with: settings, logs, resources.

Used by `grove worker`, `migrate`, `tenant` and `key`; they work on the server that the environment names, or on the
embedded one that runs on this data folder.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import msgspec
from sqlalchemy.exc import DBAPIError

from app.embedded.address import kept_address
from app.embedded.engines import find_running
from app.embedded.errors import EngineError
from app.observability import configure_logging
from app.settings import Settings, SettingsError, load
from app.workers.resources import WorkerResources, open_worker_resources
from provisioning.audit import Actor
from tenants.errors import GroveError, InputRefused

T = TypeVar("T")
CLI = Actor("cli")
_REASONS = {
    "28P01": "DATABASE_URL names a login that the database refuses.",
    "28000": "DATABASE_URL names a login that the database refuses.",
    "3D000": "DATABASE_URL names a database that does not exist.",
    "3F000": "This database has not been prepared; run `grove migrate`.",
    "42P01": "This database has not been prepared; run `grove migrate`.",
}


def read_settings(*, log_level: str | None = None) -> Settings:
    """Read the settings, completed with where the embedded server is that runs beside us.

    Errors: SettingsError if there is none.
    """
    settings = load(os.environ)  # noqa: TID251 - the environment enters here
    configure_logging(log_level or settings.log_level, settings.log_format)
    if settings.database_url is not None:
        return settings
    try:
        urls = find_running(settings)
    except EngineError as error:
        raise SettingsError(str(error)) from error
    if urls is None:
        folder = settings.data_dir.resolve()
        raise SettingsError(f"No server runs on {folder}: start `grove serve` there, or set DATABASE_URL.")
    return msgspec.structs.replace(
        urls.complete(settings),
        public_url=settings.public_url or kept_address(settings.data_dir),
    )


def administer(work: Callable[[WorkerResources], Awaitable[T]]) -> T:
    """Run a piece of work with the administrator's resources; only warnings are logged beside its output."""
    settings = read_settings(log_level="warning")

    async def run() -> T:
        async with open_worker_resources(settings) as resources:
            return await work(resources)

    try:
        return asyncio.run(run())
    except InputRefused as error:
        for pointer, detail in error.errors:
            click.echo(f"grove: {pointer}: {detail}", err=True)
        if not error.errors:
            click.echo(f"grove: {error}", err=True)
        sys.exit(2)
    except GroveError as error:
        click.echo(f"grove: {error.detail or type(error).__name__}", err=True)
        sys.exit(2)
    except DBAPIError as error:
        reason = _REASONS.get(getattr(error.orig, "sqlstate", None) or "")
        if reason is None:
            raise
        click.echo(f"grove: {reason}", err=True)
        sys.exit(2)
