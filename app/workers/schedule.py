"""What runs when: every job that the workers know, and the times of the regular ones.

Called by `app.workers.worker`. Each regular job holds a queueing lock, so that however many workers there are, one of
it waits at most; each may be run twice, or cut off anywhere, without harm.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from procrastinate import App

from app.workers.brands import fetch_logos, recheck_domains
from app.workers.event_ids import purge_event_ids
from app.workers.grafana import reconcile_grafana, rotate_passwords
from app.workers.leftovers import (
    erase_unshown_keys,
    purge_idempotency,
    purge_logins,
    purge_revocations,
    purge_tokens,
)
from app.workers.mail import send_links
from app.workers.outcomes import compact_outcomes, tell_outcomes
from app.workers.partitions import extend_partitions
from app.workers.quarantine import purge_old_quarantine
from app.workers.queue import OPERATIONS_QUEUE, RUN_OPERATION, JobQueue
from app.workers.removals import finish_removals
from app.workers.resources import WorkerResources
from app.workers.retention import apply_retention
from app.workers.rollups import mark_clients
from app.workers.salts import destroy_old_salts
from app.workers.stalled import drop_stalled_jobs
from app.workers.sweep import queue_waiting, sweep_operations

REGULAR_QUEUE = "regular"
Job = Callable[[], Awaitable[int]]


def regular_jobs(app: App, resources: WorkerResources, jobs: JobQueue) -> list[tuple[str, str, Job]]:
    """List the regular jobs: cron in UTC (minute, hour, day, month, weekday, and maybe second), name, work."""
    return [
        ("* * * * * */5", "sweep_operations", partial(sweep_operations, resources, jobs)),
        ("* * * * * */3", "send_links", partial(send_links, resources)),
        ("* * * * * */3", "fetch_logos", partial(fetch_logos, resources)),
        ("* * * * *", "drop_stalled_jobs", partial(drop_stalled_jobs, app.job_manager)),
        ("*/5 * * * *", "finish_removals", partial(finish_removals, resources, jobs)),
        ("*/5 * * * *", "tell_outcomes", partial(tell_outcomes, resources)),
        ("10 * * * *", "compact_outcomes", partial(compact_outcomes, resources)),
        ("30 * * * *", "purge_revocations", partial(purge_revocations, resources)),
        ("40 * * * *", "purge_idempotency", partial(purge_idempotency, resources)),
        ("45 * * * *", "purge_logins", partial(purge_logins, resources)),
        ("55 * * * *", "purge_tokens", partial(purge_tokens, resources)),
        ("50 * * * *", "erase_unshown_keys", partial(erase_unshown_keys, resources)),
        ("5 * * * *", "destroy_old_salts", partial(destroy_old_salts, resources)),
        ("15 * * * *", "mark_clients", partial(mark_clients, resources)),
        ("20 2 * * *", "extend_partitions", partial(extend_partitions, resources)),
        ("30 2 * * *", "apply_retention", partial(apply_retention, resources)),
        # In this order, so that nothing is in quarantine whose id is forgotten.
        ("50 2 * * *", "purge_old_quarantine", partial(purge_old_quarantine, resources)),
        ("55 2 * * *", "purge_event_ids", partial(purge_event_ids, resources)),
        ("20 3 * * *", "reconcile_grafana", partial(reconcile_grafana, resources, jobs)),
        ("40 3 * * *", "recheck_domains", partial(recheck_domains, resources)),
        ("50 3 1 * *", "rotate_passwords", partial(rotate_passwords, resources, jobs)),
    ]


def register_jobs(app: App, resources: WorkerResources, jobs: JobQueue) -> None:
    """Make all jobs known to the library."""

    async def run_operation(operation_id: str) -> None:
        view = await resources.runner.run(UUID(operation_id))
        if view.client_id is not None:
            # What waited for this one: no two operations of a client run at once.
            await queue_waiting(resources, jobs, view.client_id)

    app.task(name=RUN_OPERATION, queue=OPERATIONS_QUEUE)(run_operation)
    for cron, name, job in regular_jobs(app, resources, jobs):
        task = app.task(name=f"regular.{name}", queue=REGULAR_QUEUE, queueing_lock=f"regular:{name}")
        app.periodic(cron=cron)(task(_at_a_time(job)))


def _at_a_time(job: Job) -> Callable[[int], Awaitable[None]]:
    """Fit a job to the library, which says for which time a regular job runs; ours look at the clock."""

    async def run(timestamp: int) -> None:
        del timestamp
        await job()

    return run
