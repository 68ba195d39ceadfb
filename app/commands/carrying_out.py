"""Carry an operation out within a command, and show its steps.

Used by `grove tenant`; a worker that is quicker does it instead, and the command watches.
"""

import asyncio
import time
from uuid import UUID

import click
from rich.console import Console

from app.workers.resources import WorkerResources
from provisioning.operations import OperationView

PATIENCE_S = 120.0
PAUSE_S = 0.3
_MARKS = {"done": "+", "skipped": "-", "undone": "<", "failed": "!", "running": "~", "pending": "."}


class NotFinished(click.ClickException):
    """An operation failed, or did not end in time."""


async def carry_out(resources: WorkerResources, operation_id: UUID) -> OperationView:
    """Run an operation to its end and print what each step came to.

    Errors: NotFinished.
    """
    ends_at = time.monotonic() + PATIENCE_S
    with Console(stderr=True).status("working"):
        view = await resources.runner.run(operation_id)
        while not view.finished and time.monotonic() < ends_at:
            await asyncio.sleep(PAUSE_S)
            view = await resources.runner.run(operation_id)
    for step in view.steps:
        note = step.detail or (step.last_error if step.state != "done" else None)
        click.echo(f"  {_MARKS.get(step.state, '?')} {step.name}" + (f": {note}" if note else ""), err=True)
    if not view.finished:
        raise NotFinished(f"Operation {view.id} goes on when what it waits for is there; a worker will finish it.")
    if view.state == "failed":
        raise NotFinished(f"It failed and was undone: {(view.error or {}).get('detail', 'no reason was recorded')}")
    return view
