"""Visit each client with a piece of regular work, so that one that is away holds up no other.

Called by the scheduled jobs of this package.
"""

from collections.abc import Awaitable, Callable

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.workers.resources import WorkerResources
from tenants.errors import GroveError
from tenants.placement import TenantContext

log = structlog.get_logger()
Visit = Callable[[TenantContext], Awaitable[int]]


async def visit_clients(resources: WorkerResources, work: str, visit: Visit) -> int:
    """Do `visit` for every client that has a place, one after the other; return the sum of what they did.

    A client whose database is away, or whose visit fails otherwise, is logged and has its turn in the next round.
    """
    async with resources.control.session() as session:
        clients = await resources.registry.unscoped_clients(session)
    done = 0
    for client in clients:
        if client.status == "provisioning":
            continue
        try:
            done += await visit(client)
        except Exception as error:
            # Whatever it is, the others have their turn.
            expected = isinstance(error, GroveError | asyncpg.PostgresError | SQLAlchemyError | OSError)
            log.warning(
                "round_skipped_client",
                work=work,
                client_id=client.tenant_id,
                error=type(error).__name__,
                exc_info=not expected,
            )
    log.info("round_finished", work=work, clients=len(clients), done=done)
    return done
