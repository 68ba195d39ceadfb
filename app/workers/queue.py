"""Hand operations to the workers.

Called by the API with the serving login. The operations table is the truth: a job that could not be queued
costs a few seconds, until a worker's sweep finds the operation.
"""

import asyncio
from typing import Any
from uuid import UUID

import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from app.workers.schema import JOB_SCHEMA

RUN_OPERATION = "operations.run"
OPERATIONS_QUEUE = "operations"
OPERATIONS_PRIORITY = 10
DEFER_TIMEOUT_S = 3.0

log = structlog.get_logger()


def job_app(url: str, *, connections: int, **options: Any) -> App:
    """Make the library's application on a database; it connects when opened."""
    connector = PsycopgConnector(
        conninfo=url,
        min_size=0,
        max_size=connections,
        max_idle=60.0,
        timeout=DEFER_TIMEOUT_S,
        kwargs={
            "options": f"-c search_path={JOB_SCHEMA}",
            "application_name": "grove",
            "connect_timeout": 5,
            "prepare_threshold": None,
        },
    )
    return App(connector=connector, **options)


class JobQueue:
    """The sending side of the queue; connects when first used."""

    def __init__(self, url: str) -> None:
        self._app = job_app(url, connections=2)
        self._opening = asyncio.Lock()
        self._opened = False

    async def defer_operation(self, operation_id: UUID) -> None:
        """Ask the workers to run an operation now; a queue that is away is logged, never raised."""
        try:
            async with asyncio.timeout(DEFER_TIMEOUT_S):
                await self._open()
                await self._deferrer(operation_id).defer_async(operation_id=str(operation_id))
        except AlreadyEnqueued:
            log.debug("operation_already_queued", operation_id=str(operation_id))
        except (ConnectorException, OSError, TimeoutError) as error:
            log.warning("job_queue_unavailable", operation_id=str(operation_id), error=type(error).__name__)

    async def close(self) -> None:
        """Close the connections, if any were opened."""
        if self._opened:
            self._opened = False
            await self._app.close_async()

    async def _open(self) -> None:
        async with self._opening:
            if not self._opened:
                await self._app.open_async()
                self._opened = True

    def _deferrer(self, operation_id: UUID) -> Any:
        return self._app.configure_task(
            RUN_OPERATION,
            queue=OPERATIONS_QUEUE,
            priority=OPERATIONS_PRIORITY,
            queueing_lock=f"operation:{operation_id}",
        )
