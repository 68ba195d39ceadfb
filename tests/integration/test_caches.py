"""What processes remember of clients and keys: never what was read before a revocation, and no made-up key for long."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

import tenants.keyring
from app.embedded.postgres import EmbeddedPostgres
from provisioning.keys import NewKey, create_key
from provisioning.lifecycle import suspend_client
from tenants.control import ControlPlane
from tenants.errors import Unauthenticated
from tenants.ids import TenantId
from tenants.keyring import Keyring
from tenants.keys import KeyKind, hash_key, mint_key
from tenants.placement import TenantContext
from tenants.registry import Registry
from tenants.revocations import RevocationFeed
from tests.support.provisioner import ACTOR, Provisioner, open_provisioner


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    """A control plane with one client."""
    async with open_provisioner(postgres.url) as provisioner:
        await provisioner.create("maple")
        yield provisioner


class SlowRegistry(Registry):
    """Waits between reading a client and giving it back, as a busy machine does."""

    def __init__(self, grove: Provisioner, feed: RevocationFeed) -> None:
        super().__init__(grove.serving, vault=grove.vault, main_url=grove.url, feed=feed)
        self.has_read, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def load(self, session: AsyncSession, tenant_id: TenantId) -> TenantContext:
        """Read a client within a transaction."""
        found = await super().load(session, tenant_id)
        self.has_read.set()
        await self.may_go_on.wait()
        return found


async def test_a_client_read_before_its_suspension_is_not_remembered_after_it(grove: Provisioner) -> None:
    feed = RevocationFeed(grove.serving)
    registry, maple = SlowRegistry(grove, feed), TenantId("maple")

    def forget(_kind: str, subject: str) -> None:
        registry.forget(TenantId(subject))

    feed.listen(forget)
    await feed.start()
    reading = asyncio.create_task(registry.get_client(maple))
    await registry.has_read.wait()
    async with grove.serving.session() as session:
        await suspend_client(session, maple, ACTOR, now=grove.now)
    await feed.poll()
    registry.may_go_on.set()
    assert (await reading).status == "active"
    assert (await registry.get_client(maple)).status == "suspended"


async def test_a_registry_that_hears_of_no_revocations_looks_again(grove: Provisioner) -> None:
    deaf = Registry(grove.serving, vault=grove.vault, main_url=grove.url, feed=RevocationFeed(grove.serving))
    await deaf.get_client(TenantId("maple"))
    with queries_of(grove.serving) as asked:
        await deaf.get_client(TenantId("maple"))
    assert asked


async def test_made_up_keys_push_no_real_one_out(grove: Provisioner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants.keyring, "CACHED_KEYS", 3)
    keyring, (key,) = await open_keyring(grove), await new_keys(grove, 1)
    await keyring.verify(key)
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await keyring.verify(mint_key(KeyKind.SERVER))
    with queries_of(grove.serving) as asked:
        await keyring.verify(key)
    assert asked == []


async def test_a_made_up_key_is_looked_up_once(grove: Provisioner) -> None:
    keyring, key = await open_keyring(grove), mint_key(KeyKind.SERVER)
    with queries_of(grove.serving) as asked:
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await keyring.verify(key)
    assert len(asked) == 1


async def test_when_keys_were_last_used_is_written_for_all_at_once(grove: Provisioner) -> None:
    keyring, (first, second, unused) = await open_keyring(grove), await new_keys(grove, 3)
    for key in (second, first):
        await keyring.verify(key)
    with queries_of(grove.serving) as asked:
        await keyring.save_last_used()
        assert len(asked) == 1
        await keyring.save_last_used()
        assert len(asked) == 1, "there is nothing new"
    hashes = [hash_key(key) for key in (first, second, unused)]
    rows = await grove.fetch("SELECT hash, last_used_at FROM grove.api_keys WHERE hash = ANY ($1)", hashes)
    assert {row["hash"]: row["last_used_at"] for row in rows} == dict(
        zip(hashes, (grove.now, grove.now, None), strict=True)
    )


async def test_of_too_many_keys_the_one_that_was_used_last_stays(
    grove: Provisioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants.keyring, "CACHED_KEYS", 2)
    keyring, (first, second, third) = await open_keyring(grove), await new_keys(grove, 3)
    for key in (first, second, first, third):
        await keyring.verify(key)
    with queries_of(grove.serving) as asked:
        await keyring.verify(first)
        assert asked == []
        await keyring.verify(second)
        assert len(asked) == 1


async def open_keyring(grove: Provisioner) -> Keyring:
    """Make a keyring that hears of revocations."""
    feed = RevocationFeed(grove.serving)
    await feed.start()
    return Keyring(grove.serving, feed, grove.clock, grove.tokens)


async def new_keys(grove: Provisioner, count: int) -> list[str]:
    """Make keys of a client."""
    async with grove.serving.session() as session:
        new = NewKey(kind=KeyKind.SERVER, client_id="maple")
        made = [await create_key(session, new, ACTOR, now=grove.now) for _ in range(count)]
    return [each.key for each in made if each.key is not None]


@contextmanager
def queries_of(control: ControlPlane) -> Iterator[list[str]]:
    """Write down what the control plane is asked."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(control.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(control.engine.sync_engine, "before_cursor_execute", note)
