"""`grove serve`: run a server until it is told to stop."""

import os
import sys

import click

from app.embedded.errors import EngineError
from app.observability import configure_logging
from app.settings import load
from app.supervisor import WORKER, StartFailed, Supervisor, SupervisorError


@click.command("serve")
@click.option("--worker/--no-worker", default=True, help="Whether to run a worker too, or leave that to others.")
def command(*, worker: bool) -> None:
    """Run the server, with a Postgres and Valkey of its own unless DATABASE_URL and REDIS_URL name others.

    It migrates the control plane, prints the first platform key once, keeps its processes running, and on SIGTERM or
    Ctrl-C answers what it has accepted before it ends.
    """
    settings = load(os.environ)  # noqa: TID251 - the environment enters here
    configure_logging(settings.log_level, settings.log_format)
    try:
        Supervisor(settings, worker=WORKER if worker else None).run()
    except (EngineError, SupervisorError) as error:
        click.echo(f"grove: {error}", err=True)
        sys.exit(1 if isinstance(error, StartFailed) else 2)
