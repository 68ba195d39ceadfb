"""Forget what was counted of events that are too old to be kept.

Called by whoever drops these events, in the same transaction and before it drops them: an answer then sees both or
neither, and a round of rolling up, which locks in the same order, is waited for.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.rollups.statements import statement
from tenants.placement import Placement

_LOCK_STATE = "SELECT zone FROM {{schema}}.rollup_state FOR UPDATE"
_TIMEOUT = "SET LOCAL statement_timeout = '10min'"


async def prune_rollups(connection: AsyncConnection, placement: Placement, before: datetime) -> None:
    """Drop rollups, visits, sessions, facts and people's numbers of what happened before a time, and of nothing later.

    Shape: the connection has the client's owner role. Of a day that the time cuts in two, the rest waits to be rolled
    up again. A session that went on after the time stays.
    """
    await connection.exec_driver_sql(_TIMEOUT)
    zone = (await connection.exec_driver_sql(placement.render(_LOCK_STATE))).scalar()
    if zone is not None:
        cut = await connection.exec_driver_sql(statement(placement, "prune"), (before, zone))
        await connection.exec_driver_sql(statement(placement, "count_orders"), (cut.scalar_one() or [],))
        await connection.exec_driver_sql(statement(placement, "prune_people"))
        await connection.exec_driver_sql(statement(placement, "prune_series"))
    await connection.exec_driver_sql(statement(placement, "prune_facts"), (before,))
    await connection.exec_driver_sql(statement(placement, "prune_sessions"), (before,))
