"""Drop jobs whose worker died in the middle of them.

Scheduled every minute. Nothing is lost: an operation is found by the sweep, a regular job comes again.
"""

import structlog
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

DEAD_AFTER_S = 60.0

log = structlog.get_logger()


async def drop_stalled_jobs(manager: JobManager) -> int:
    """Delete the jobs of workers that have not been heard of for a minute; return how many."""
    stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_S))
    for job in stalled:
        log.warning("stalled_job_dropped", task=job.task_name, job_id=job.id)
        await manager.finish_job(job, Status.FAILED, delete_job=True)
    await manager.prune_stalled_workers(DEAD_AFTER_S)
    return len(stalled)
