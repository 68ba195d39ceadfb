"""`grove worker`: run operations and regular jobs until told to stop."""

import asyncio

import click

from app.commands.administration import read_settings
from app.workers.worker import run_worker


@click.command("worker")
def command() -> None:
    """Run a worker: what was ordered (clients made, removed, checked) and what comes round.

    On SIGTERM or Ctrl-C it finishes what it has begun. Any number of workers may run side by side.
    """
    asyncio.run(run_worker(read_settings()))
