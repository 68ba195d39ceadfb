"""Sessions on the control plane: one request or job, one transaction.

Opened by the composition roots with the serving login or, for migrations and sagas, with the administrator's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from tenants.errors import StoreUnavailable
from tenants.outages import Outages

SERVING_LOGIN = "grove_app"
CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 15


class ControlPlane:
    """A pool of connections to schema `grove`.

    Errors: `session` raises StoreUnavailable where the database cannot be reached or no connection became free.
    """

    def __init__(self, url: str, *, size: int = 5) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            pool_size=size,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            hide_parameters=True,  # they are people's data, and an error's text ends in the log
            connect_args={
                "dsn": url,  # whole: the driver knows what its parameters, such as sslmode, mean
                "timeout": CONNECT_TIMEOUT_S,
                "command_timeout": COMMAND_TIMEOUT_S,
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": str,  # none: behind a pooler, names would be those of others, too
                "server_settings": {"application_name": "grove"},
            },
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._outages = Outages()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Run a block in one transaction, committed at its end, rolled back if it raises."""
        try:
            async with self._sessions.begin() as session:
                yield session
        except DBAPIError as error:
            if is_unavailable(error):
                raise self._unavailable() from error
            raise
        except (OSError, TimeoutError, PoolExhausted) as error:
            raise self._unavailable() from error
        self._outages.note_there(None)

    def _unavailable(self) -> StoreUnavailable:
        return StoreUnavailable(retry_after_s=self._outages.note_away(None))

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def is_unavailable(error: DBAPIError) -> bool:
    """Tell a server that is away or lets nobody in from a statement that is wrong."""
    if error.connection_invalidated or isinstance(error, InterfaceError | OperationalError):
        return True
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    return sqlstate[:2] in {"08", "28", "3D", "53", "57"}
