"""Find operations that should be running and are not, and queue them.

Scheduled every few seconds: whatever became of the job that was queued with an operation, this finds it. What waited
for another operation of its client is found at once when that one has ended.
"""

from app.workers.queue import JobQueue
from app.workers.resources import WorkerResources
from provisioning.operations import find_due_operations, unscoped_due_operations


async def sweep_operations(resources: WorkerResources, jobs: JobQueue) -> int:
    """Queue every operation that is due and that no living runner holds; return how many."""
    async with resources.control.session() as session:
        due = await unscoped_due_operations(session)
    for operation_id in due:
        await jobs.defer_operation(operation_id)
    return len(due)


async def queue_waiting(resources: WorkerResources, jobs: JobQueue, client_id: str) -> None:
    """Queue what waits for its turn with a client."""
    async with resources.control.session() as session:
        waiting = await find_due_operations(session, client_id)
    for operation_id in waiting:
        await jobs.defer_operation(operation_id)
