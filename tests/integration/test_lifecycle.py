"""Clients are changed, suspended, deleted with a grace, restored, and removed without a trace."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from provisioning.apply import Applied, Wanted, apply_client, read_clients
from provisioning.keys import (
    NewKey,
    create_key,
    ensure_first_platform_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from provisioning.lifecycle import (
    change_client,
    delete_client,
    request_isolation_check,
    request_removal,
    restore_client,
    resume_client,
    suspend_client,
    unscoped_request_due_removals,
)
from provisioning.requests import Branding, ClientChange
from tenants.errors import AlreadyTaken, InputRefused, NotFound, Unauthenticated, WrongState
from tenants.keyring import Keyring
from tenants.keys import KeyKind
from tenants.revocations import RevocationFeed
from tests.support.engines import throwaway_postgres
from tests.support.grove import own_database
from tests.support.provisioner import ACTOR, Provisioner, execute, open_provisioner


@pytest.fixture(scope="module")
def cluster() -> object:
    """A cluster of this module's own: its roles and databases are compared."""
    with throwaway_postgres() as engine:
        yield engine


@pytest.fixture(scope="module")
async def grove(cluster: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    async with open_provisioner(cluster.url) as opened:
        yield opened


async def status(grove: Provisioner, client_id: str) -> str:
    return (await grove.context(client_id)).status


@pytest.mark.parametrize("placement", [{"kind": "schema"}, {"kind": "database"}])
async def test_a_removed_client_leaves_the_catalogs_as_they_were(grove: Provisioner, placement: dict[str, str]) -> None:
    before = await grove.catalogs()
    assert (await grove.create("gone", placement=placement)).state == "succeeded"
    assert await grove.catalogs() != before

    view = await grove.remove("gone")

    assert view.state == "succeeded"
    assert {step.state for step in view.steps if not step.name.startswith("grafana")} == {"done"}
    assert await grove.catalogs() == before
    kinds = await grove.fetch("SELECT DISTINCT kind FROM grove.operations WHERE client_id = 'gone'")
    assert {row["kind"] for row in kinds} == {"client.create", "client.delete", "client.remove"}
    assert await grove.fetch("SELECT FROM grove.audit_log WHERE client_id = 'gone'")


async def test_a_given_database_is_left_empty_and_open_as_it_was(grove: Provisioner) -> None:
    async with own_database(grove.url) as url:
        there = Provisioner(url, grove.vault)
        query = (
            "SELECT nspname FROM pg_namespace UNION ALL SELECT rolname FROM pg_roles UNION ALL "
            "SELECT relname FROM pg_class WHERE has_table_privilege('public', oid, 'SELECT') UNION ALL "
            "SELECT oid::regprocedure::text FROM pg_proc WHERE has_function_privilege('public', oid, 'EXECUTE') "
            "UNION ALL "
            "SELECT 'connect' WHERE has_database_privilege('public', current_database(), 'CONNECT, TEMP') ORDER BY 1"
        )
        before = await there.fetch(query)
        await grove.create("lent", placement={"kind": "database", "url": url})
        assert await there.fetch(query) != before
        assert (await grove.remove("lent")).state == "succeeded"
        assert await there.fetch(query) == before


async def test_removal_ends_the_sessions_of_the_clients_dashboards(grove: Provisioner) -> None:
    await grove.create("open")
    session = await asyncpg.connect(await grove.login_url((await grove.context("open")).placement))
    ended = asyncio.Event()
    session.add_termination_listener(lambda _: ended.set())
    assert (await grove.remove("open")).state == "succeeded"
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_removal_that_is_held_up_waits_and_goes_on(grove: Provisioner) -> None:
    await grove.create("held")
    schema = (await grove.context("held")).placement.schema
    holder = await asyncpg.connect(grove.url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute(f'LOCK TABLE "{schema}".events')
    view = await grove.remove("held")
    assert view.state == "pending"
    assert any("lock was not free" in (step.last_error or "") for step in view.steps)
    async with grove.serving.session() as session:
        with pytest.raises(WrongState):
            await restore_client(session, "held", ACTOR, now=grove.now)
        assert await request_removal(session, "held", ACTOR) == view.id
    await transaction.rollback()
    await holder.close()
    await grove.make_due(view.id)
    assert (await grove.runner().run(view.id)).state == "succeeded"


async def test_suspending_and_resuming_are_told_to_every_process(grove: Provisioner) -> None:
    await grove.create("pausing")
    feed = RevocationFeed(grove.serving)
    heard: list[tuple[str, str]] = []
    feed.listen(lambda kind, subject: heard.append((kind, subject)))
    await feed.start()
    async with grove.serving.session() as session:
        await suspend_client(session, "pausing", ACTOR, now=grove.now)
        await suspend_client(session, "pausing", ACTOR, now=grove.now)
    await feed.poll()
    assert ("client", "pausing") in heard
    assert await status(grove, "pausing") == "suspended"
    async with grove.serving.session() as session:
        await resume_client(session, "pausing", ACTOR, now=grove.now)
    assert await status(grove, "pausing") == "active"


async def test_a_deleted_client_can_be_restored_until_its_grace_is_over(grove: Provisioner) -> None:
    await grove.create("regret")
    async with grove.serving.session() as session:
        await suspend_client(session, "regret", ACTOR, now=grove.now)
        await delete_client(session, "regret", ACTOR, now=grove.now, grace_days=30)
        with pytest.raises(WrongState):
            await resume_client(session, "regret", ACTOR, now=grove.now)
        with pytest.raises(WrongState):
            await request_isolation_check(session, "regret", ACTOR)
    async with grove.control.session() as session:
        assert await unscoped_request_due_removals(session, now=grove.now + timedelta(days=29)) == []
    async with grove.serving.session() as session:
        await restore_client(session, "regret", ACTOR, now=grove.now)
    assert await status(grove, "regret") == "suspended"

    async with grove.serving.session() as session:
        await delete_client(session, "regret", ACTOR, now=grove.now, grace_days=30)
    async with grove.control.session() as session:
        due = await unscoped_request_due_removals(session, now=grove.now + timedelta(days=31))
    assert len(due) == 1
    assert (await grove.runner().run(due[0])).state == "succeeded"
    with pytest.raises(NotFound):
        await grove.context("regret")


async def test_a_client_that_is_in_use_cannot_be_removed_at_once(grove: Provisioner) -> None:
    await grove.create("used")
    async with grove.serving.session() as session:
        with pytest.raises(WrongState):
            await request_removal(session, "used", ACTOR)
        with pytest.raises(NotFound):
            await delete_client(session, "nobody", ACTOR, now=grove.now, grace_days=30)


async def test_a_change_touches_only_what_is_given(grove: Provisioner) -> None:
    await grove.create("changing", timezone="Europe/Paris")
    async with grove.serving.session() as session:
        change = ClientChange(name="Changed", branding=Branding(primary_color="#123456"))
        assert await change_client(session, "changing", change, ACTOR, now=grove.now, grace_days=30) == [
            "name",
            "branding",
        ]
        assert await change_client(session, "changing", change, ACTOR, now=grove.now, grace_days=30) == []
    found = await grove.context("changing")
    assert (found.name, found.timezone, found.branding["primaryColor"]) == ("Changed", "Europe/Paris", "#123456")


async def test_a_domain_cannot_be_taken_from_another_client(grove: Provisioner) -> None:
    await grove.create("owner", domain="own.example")
    await grove.create("envier")
    async with grove.serving.session() as session:
        with pytest.raises(AlreadyTaken) as taken:
            await change_client(
                session, "envier", ClientChange(domain="own.example"), ACTOR, now=grove.now, grace_days=30
            )
    assert taken.value.field == "/domain"


async def test_a_rotated_key_works_until_its_overlap_is_over_and_a_revoked_one_not_at_all(grove: Provisioner) -> None:
    await grove.create("turning")
    feed = RevocationFeed(grove.serving)
    keyring = Keyring(grove.serving, feed, grove.clock, grove.tokens)
    new = NewKey(kind=KeyKind.SERVER, client_id="turning", name="shop")
    async with grove.serving.session() as session:
        old = await create_key(session, new, ACTOR, now=grove.now)
    async with grove.serving.session() as session:
        successor = await rotate_key(session, "turning", old.id, ACTOR, now=grove.now, overlap_s=60)
        with pytest.raises(WrongState):
            await rotate_key(session, "turning", old.id, ACTOR, now=grove.now, overlap_s=60)
    assert old.key is not None
    assert successor.key is not None
    assert (await keyring.verify(old.key)).client_id == "turning"
    start = grove.now
    grove.now = start + timedelta(seconds=61)
    with pytest.raises(Unauthenticated):
        await keyring.verify(old.key)
    assert (await keyring.verify(successor.key)).key_id == successor.id
    grove.now = start

    async with grove.serving.session() as session:
        await revoke_key(session, "turning", successor.id, ACTOR, now=grove.now)
        with pytest.raises(NotFound):
            await revoke_key(session, "owner", successor.id, ACTOR, now=grove.now)
        shown = await list_keys(session, "turning", limit=10)
    with pytest.raises(Unauthenticated):
        await keyring.verify(successor.key)
    assert all(view.key is None for view in shown)
    assert [view.name for view in shown].count("shop") == 2


async def test_a_key_that_makes_no_sense_is_refused(grove: Provisioner) -> None:
    bad = [
        NewKey(kind=KeyKind.PLATFORM, client_id="owner"),
        NewKey(kind=KeyKind.SERVER, client_id="owner", origins=["https://x.example"]),
        NewKey(kind=KeyKind.BROWSER, client_id="owner", origins=["https://x.example/path"]),
        NewKey(kind=KeyKind.SERVER, client_id="owner", expires_at=grove.now),
        NewKey(kind=KeyKind.SERVER, client_id="owner", name="\n"),
    ]
    for new in bad:
        async with grove.serving.session() as session:
            with pytest.raises(InputRefused):
                await create_key(session, new, ACTOR, now=grove.now)


async def test_the_platforms_first_key_is_made_once(grove: Provisioner) -> None:
    async with grove.control.session() as session:
        key = await ensure_first_platform_key(session, now=grove.now)
    async with grove.control.session() as session:
        assert await ensure_first_platform_key(session, now=grove.now) is None
    assert key is not None
    assert key.startswith("grv_p_")


FILE = """
[[clients]]
id = "filed"
name = "Filed"
timezone = "Europe/Berlin"
domain = "filed.example"
[clients.placement]
kind = "schema"
"""


async def apply_wanted(grove: Provisioner, wanted: Wanted) -> Applied:
    """Make one client of a file so."""
    async with grove.serving.session() as session:
        return await apply_client(
            session, grove.onboarding, wanted, ACTOR, clock=grove.clock, vault=grove.vault, grace_days=30
        )


async def test_a_file_of_clients_is_made_so_and_then_changes_nothing(grove: Provisioner, tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    path.write_text(FILE)
    (wanted,) = read_clients(path)
    did = []
    for _ in range(2):
        applied = await apply_wanted(grove, wanted)
        if applied.operation_id is not None:
            await grove.runner().run(applied.operation_id)
        did.append(applied.did)
    assert did == ["created", "unchanged"]

    path.write_text(FILE.replace("Berlin", "Paris"))
    applied = await apply_wanted(grove, read_clients(path)[0])
    assert (applied.did, applied.changed) == ("changed", ["timezone"])

    path.write_text(FILE.replace('"schema"', '"database"'))
    with pytest.raises(InputRefused) as refused:
        await apply_wanted(grove, read_clients(path)[0])
    assert refused.value.errors[0][0] == "/placement/kind"


@pytest.mark.parametrize(
    "text", ["[[clients]]\nid = 3", "nonsense", FILE + FILE, "[[clients]]\nid='x'\nname='x'\nage=3"]
)
def test_a_file_with_a_fault_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clients.toml"
    path.write_text(text)
    with pytest.raises(InputRefused):
        read_clients(path)


async def test_a_lost_customers_server_does_not_hold_up_its_removal_for_ever(grove: Provisioner) -> None:
    async with own_database(grove.url) as url:
        await grove.create("vanished", placement={"kind": "database", "url": url})
        roles = (await grove.context("vanished")).placement
        sealed = grove.vault.seal(url.replace(url.rpartition("/")[2], "not_there"))
        await grove.execute("UPDATE grove.servers SET admin_url_sealed = $1 WHERE name = $2", sealed, roles.server)
        waiting = await grove.remove("vanished")
        assert waiting.state == "pending"
        await grove.make_due(waiting.id)
        await grove.execute("UPDATE grove.operations SET attempts = 12 WHERE id = $1", waiting.id)
        done = await grove.runner().run(waiting.id)
        assert done.state == "succeeded"
        assert "left as it is" in (done.steps[0].detail or "")
        for name in (roles.login_role, roles.reader_role, roles.writer_role, roles.owner_role):
            await execute(url, f'DROP OWNED BY "{name}" CASCADE; DROP ROLE "{name}"')
        serving = await grove.fetch("SELECT rolname FROM pg_roles WHERE rolname = $1", f"{roles.server}_s")
        await execute(url, f'DROP OWNED BY "{serving[0]["rolname"]}"; DROP ROLE "{serving[0]["rolname"]}"')
