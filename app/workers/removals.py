"""Remove clients for good whose grace is over. Scheduled every few minutes."""

from app.workers.queue import JobQueue
from app.workers.resources import WorkerResources
from provisioning.lifecycle import unscoped_request_due_removals


async def finish_removals(resources: WorkerResources, jobs: JobQueue) -> int:
    """Order the removal of every client whose grace is over; return how many."""
    async with resources.control.session() as session:
        ordered = await unscoped_request_due_removals(session, now=resources.clock())
    for operation_id in ordered:
        await jobs.defer_operation(operation_id)
    return len(ordered)
