"""Find operations that should be running and are not, and queue them.

Scheduled every few seconds: whatever became of the job that was queued with an operation, this finds it.
"""

from app.workers.queue import JobQueue
from app.workers.resources import WorkerResources
from provisioning.operations import unscoped_due_operations


async def sweep_operations(resources: WorkerResources, jobs: JobQueue) -> int:
    """Queue every operation that is due and that no living runner holds; return how many."""
    async with resources.control.session() as session:
        due = await unscoped_due_operations(session)
    for operation_id in due:
        await jobs.defer_operation(operation_id)
    return len(due)
