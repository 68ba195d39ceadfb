"""The judge is proven: whatever is broken in the product on purpose, it finds, and in the product as it is nothing."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest import sink
from tenants.ids import quote
from tests.support.eventful import GIVE_UP_S, Eventful
from tests.support.grove import Grove, MadeClient, bearer, open_grove
from tests.support.party import Party
from tests.support.proxy import Proxy, proxy_to
from tests.support.seeds import SEEDS, Seed

LIMIT = {"name": "limited", "kind": "server", "rate_limit": 1, "rate_burst": 3}
TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) "
    "AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT IN ('alembic_version', 'rollup_state')"
)


class Scene(NamedTuple):
    """A Grove whose database is behind a proxy, with two clients."""

    grove: Grove
    proxy: Proxy
    clients: list[MadeClient]

    async def begin(self) -> Eventful:
        """Empty both clients' tables, and let them be new."""
        self.proxy.cut, self.proxy.cuts = None, 0
        party, neighbour = (Party(self.grove, client) for client in self.clients)
        for each in (party, neighbour):
            schema = (await self.grove.placement_of(each.client.id)).schema
            tables = [quote(row["relname"]) for row in await each.fetch(TABLES, quote(schema))]
            await each.fetch(f"TRUNCATE {', '.join(f'{{schema}}.{table}' for table in tables)}")
            await each.fetch("UPDATE {schema}.rollup_state SET numbers = DEFAULT")
        made = await self.grove.http.post(f"{party.client.path}/keys", json=LIMIT, headers=party.client.admin)
        return Eventful(self.grove, self.proxy, party, neighbour, bearer(made.json()["key"]))


@pytest.fixture(scope="module")
async def scene(postgres: EmbeddedPostgres) -> AsyncIterator[Scene]:
    """The setting."""
    async with proxy_to(postgres.url) as proxy, open_grove(proxy.url) as grove:
        async with grove.worker():
            clients = [await grove.make_client(name) for name in ("maple", "oak")]
        yield Scene(grove, proxy, clients)


@pytest.fixture
async def eventful(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Eventful:
    """What is to happen; what cannot be stored is given up soon."""
    monkeypatch.setattr(sink, "GIVE_UP_S", GIVE_UP_S)
    return await scene.begin()


async def test_nothing_is_found_in_the_product_as_it_is(scene: Scene, eventful: Eventful) -> None:
    await eventful.run()
    assert await eventful.judge() == []
    assert eventful.party.outcomes == ({202, 429, 503}, {"stored", "quarantined", "gone"})
    assert scene.proxy.cuts == 2


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.plant.__name__)
async def test_a_bug_is_found(eventful: Eventful, monkeypatch: pytest.MonkeyPatch, seed: Seed) -> None:
    seed.plant(monkeypatch, eventful)
    await eventful.run()
    found = await eventful.judge()
    assert [each for each in found if each.what == seed.what and seed.words in each.detail], found
