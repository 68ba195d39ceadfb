"""Engines for the administrator's work on clients' databases: a connection per use, none kept.

Called by the fan-out, by onboarding and by the partitions job.
"""

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 60


def administrator_engine(url: str, *, command_timeout_s: float = COMMAND_TIMEOUT_S) -> AsyncEngine:
    """Make an engine on a database URL; dispose of it after use."""
    return create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={
            "dsn": url,  # whole: the driver knows what its parameters, such as sslmode, mean
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": command_timeout_s,
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "server_settings": {"application_name": "grove"},
        },
    )
