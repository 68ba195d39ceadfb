"""A whole Grove with one client that sends events, and a look into that client's tables.

`async with open_shop(ClientShop, postgres.url) as shop: await shop.rows("SELECT * FROM {schema}.events")`
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in


class ClientShop(Grove):
    """An application and its client."""

    client: MadeClient
    schema = ""

    async def rows(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Ask the client's tables as the administrator."""
        return await fetch_in(self.settings.main_url, self.schema, sql, *args)


_Shop = TypeVar("_Shop", bound=ClientShop)


@asynccontextmanager
async def open_shop(
    kind: type[_Shop], admin_url: str, *, wanted: Mapping[str, Any] | None = None, **changes: Any
) -> AsyncIterator[_Shop]:
    """Run an application with a worker and make its client as `wanted`.

    Shape: `changes` are as in `open_grove`.
    """
    async with open_grove(admin_url, **changes) as grove, grove.worker():
        key = grove.platform["Authorization"].removeprefix("Bearer ")
        shop = kind(grove.settings, grove.app, grove.http, key, grove.recorder)
        shop.client = await grove.make_client("maple", **(wanted or {}))
        shop.schema = (await grove.placement_of(shop.client.id)).schema
        yield shop
