"""The judge is proven: whatever is broken in the product on purpose, it finds, and in the product as it is nothing."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest import sink
from tenants.ids import quote
from tenants.registry import with_database
from tests.support.cutting import CuttingProxy, run_proxy
from tests.support.eventful import GIVE_UP_S, Eventful, Party
from tests.support.grove import Grove, MadeClient, bearer, open_grove
from tests.support.history import fetch_in
from tests.support.seeds import SEEDS, Seed

LIMIT = {"name": "limited", "kind": "server", "rate_limit": 1, "rate_burst": 3}
TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) "
    "AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT IN ('alembic_version', 'rollup_state')"
)


class Scene(NamedTuple):
    """A Grove whose database is behind a proxy, with two clients; `url` leads around the proxy."""

    grove: Grove
    proxy: CuttingProxy
    url: str
    clients: list[MadeClient]

    async def begin(self) -> Eventful:
        """Empty both clients' tables, and let them be new."""
        self.proxy.cut, self.proxy.cuts = None, 0
        parties = [await self._begin(client) for client in self.clients]
        return Eventful(self.grove, self.proxy, self.url, *parties)

    async def _begin(self, client: MadeClient) -> Party:
        schema = (await self.grove.placement_of(client.id)).schema
        tables = [quote(row["relname"]) for row in await fetch_in(self.url, "", TABLES, quote(schema))]
        await fetch_in(self.url, schema, f"TRUNCATE {', '.join(f'{{schema}}.{table}' for table in tables)}")
        await fetch_in(self.url, schema, "UPDATE {schema}.rollup_state SET numbers = DEFAULT")
        made = await self.grove.http.post(f"{client.path}/keys", json=LIMIT, headers=client.admin)
        return Party(self.grove, client, bearer(made.json()["key"]))


@pytest.fixture(scope="module")
async def scene(postgres: EmbeddedPostgres) -> AsyncIterator[Scene]:
    """The setting."""
    async with run_proxy(postgres.url) as (proxy, url), open_grove(url) as grove:
        async with grove.worker():
            clients = [await grove.make_client(name) for name in ("maple", "oak")]
        database = grove.settings.main_url.rpartition("/")[2]
        yield Scene(grove, proxy, with_database(postgres.url, database), clients)


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
