"""A client is made by recorded steps, walled, with keys that are shown once."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from migrations.control_plane import control_plane_drift
from provisioning.audit import Actor
from provisioning.lifecycle import delete_client
from provisioning.onboarding import unscoped_erase_unshown_keys
from provisioning.operations import get_operation, unscoped_due_operations
from tenants.databases import Databases
from tenants.errors import AlreadyTaken, DatabaseRefused, InputRefused
from tenants.keys import KeyKind, hash_key, kind_of
from tenants.placement import Purpose
from tests.support.grove import own_database
from tests.support.provisioner import ACTOR, Pools, Provisioner, execute, fetch, open_provisioner
from tests.support.proxy import proxy_to


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    async with open_provisioner(postgres.url) as opened:
        yield opened


def states(view: object) -> dict[str, str]:
    return {step.name: step.state for step in view.steps}  # type: ignore[attr-defined]


async def test_the_models_and_the_migrations_of_the_control_plane_agree(grove: Provisioner) -> None:
    assert await control_plane_drift(grove.control) == []


async def test_every_step_is_recorded_and_grafanas_say_why_they_are_skipped(grove: Provisioner) -> None:
    view = await grove.create("maple", timezone="Europe/Paris", domain="maple.example")

    assert view.state == "succeeded"
    assert [step.name for step in view.steps][:4] == ["placement", "server_access", "roles", "database"]
    assert states(view)["migrations"] == "done"
    assert {step.detail for step in view.steps if step.name.startswith("grafana")} == {"skipped: no Grafana configured"}
    assert all(step.attempts == 1 and step.finished_at is not None for step in view.steps)
    assert (await grove.context("maple")).status == "active"


@pytest.mark.parametrize("kind", ["schema", "database"])
async def test_a_new_client_writes_and_reads_through_the_serving_login(grove: Provisioner, kind: str) -> None:
    await grove.create(f"serves-{kind}", placement={"kind": kind, "partitionInterval": "month"})
    placement = (await grove.context(f"serves-{kind}")).placement
    databases = Databases(Pools())
    insert = placement.render(
        "INSERT INTO {{schema}}.events (event_id, name, occurred_at, received_at, properties, key_id) "
        "SELECT unnest($1::uuid[]), 'seen', now(), now(), '{}', $2"
    )
    async with databases.unit(placement, Purpose.WRITE) as unit:
        await unit.execute(insert, [uuid.uuid4(), uuid.uuid4()], uuid.uuid4())
    async with databases.unit(placement, Purpose.READ) as unit:
        assert await unit.fetchval(placement.render("SELECT count(*) FROM {{schema}}.events")) == 2
    await databases.close()

    rows = await fetch(await grove.login_url(placement), "SELECT name FROM events")
    assert [row["name"] for row in rows] == ["seen", "seen"]


async def test_keys_are_shown_once_to_whoever_made_the_client(grove: Provisioner) -> None:
    view = await grove.create("keys", domain="keys.example")
    assert await grove.keys(view.id, Actor("key:somebody-else")) is None

    keys = await grove.keys(view.id)
    assert keys is not None
    assert {name: kind_of(key) for name, key in keys.items()} == {
        "admin": KeyKind.ADMIN, "server": KeyKind.SERVER, "browser": KeyKind.BROWSER,
    }  # fmt: skip
    rows = await grove.fetch("SELECT hash, origins FROM grove.api_keys WHERE client_id = 'keys' ORDER BY kind")
    assert {bytes(row["hash"]) for row in rows} == {hash_key(key) for key in keys.values()}
    assert rows[2]["origins"] == ["https://keys.example"]

    assert await grove.keys(view.id) is None
    sealed = await grove.fetch("SELECT sealed FROM grove.operations WHERE id = $1", view.id)
    assert sealed[0]["sealed"] is None


async def test_keys_nobody_asked_for_are_erased_after_a_day(grove: Provisioner) -> None:
    view = await grove.create("late")
    await grove.execute("UPDATE grove.operations SET created_at = now() - interval '25 h' WHERE id = $1", view.id)
    async with grove.control.session() as session:
        assert await unscoped_erase_unshown_keys(session, clock=grove.clock) == 1
    assert await grove.keys(view.id) is None


async def test_a_taken_id_or_domain_is_refused_and_nothing_is_stored(grove: Provisioner) -> None:
    await grove.create("first", domain="first.example")
    before = await grove.catalogs()
    with pytest.raises(AlreadyTaken) as taken:
        await grove.request("first")
    assert taken.value.field == "/id"
    with pytest.raises(AlreadyTaken) as taken:
        await grove.request("second", domain="first.example")
    assert taken.value.field == "/domain"
    assert await grove.catalogs() == before


async def test_of_two_requests_for_one_id_at_once_one_is_refused(grove: Provisioner) -> None:
    outcomes = await asyncio.gather(grove.request("twin"), grove.request("twin"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyTaken", "UUID"]
    for operation_id in outcomes:
        if isinstance(operation_id, uuid.UUID):
            await grove.runner().run(operation_id)


async def test_an_unknown_server_is_refused(grove: Provisioner) -> None:
    with pytest.raises(InputRefused) as refused:
        await grove.request("lost", placement={"kind": "schema", "server": "nowhere"})
    assert refused.value.errors[0][0] == "/placement/server"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("@127.0.0.1", "@127.0.0.9"), "no database to be reached"),
        (lambda url: url.rpartition("/")[0] + "/missing", "no database of this name"),
        (lambda url: url.replace("://", "://x").replace(":x", ":", 1), "refuses this user name or password"),
    ],
)
async def test_a_database_url_that_does_not_work_is_refused(grove: Provisioner, change: object, words: str) -> None:
    async with own_database(grove.url) as url:
        with pytest.raises(DatabaseRefused, match=words) as refused:
            await grove.request("wrong", placement={"kind": "database", "url": change(url)})  # type: ignore[operator]
    assert refused.value.field == "/placement/url"


@pytest.mark.parametrize("parameter", ["sslmode=bogus", "target_session_attrs=bogus", "passfile=%00"])
async def test_a_parameter_of_a_url_that_is_wrong_is_told_apart_from_what_is_no_postgres(
    grove: Provisioner, parameter: str
) -> None:
    async with own_database(grove.url) as url:
        with pytest.raises((DatabaseRefused, InputRefused)) as refused:
            await grove.request("odd", placement={"kind": "database", "url": f"{url}?{parameter}"})
    assert refused.value.field in {"/placement/url", None}
    assert "URL" in refused.value.detail


async def test_what_is_no_postgres_is_refused(grove: Provisioner) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(DatabaseRefused, match="no PostgreSQL"):
            await grove.request("web", placement={"kind": "database", "url": f"postgresql://u:p@127.0.0.1:{port}/x"})


async def test_a_database_that_holds_something_is_refused(grove: Provisioner) -> None:
    async with own_database(grove.url) as url:
        await execute(url, "CREATE TABLE kept (x int)")
        with pytest.raises(DatabaseRefused, match=r"holds public\.kept"):
            await grove.request("full", placement={"kind": "database", "url": url})


async def test_an_empty_database_given_as_url_becomes_the_clients(grove: Provisioner) -> None:
    async with own_database(grove.url) as url:
        view = await grove.create("given", placement={"kind": "database", "url": url})
        assert view.state == "succeeded"
        context = await grove.context("given")
        assert context.placement.serve_url.partition("@")[0] != url.partition("@")[0]
        assert "sealed" not in str(view)
        assert await fetch(url, "SELECT nspname FROM pg_namespace WHERE nspname = $1", context.placement.schema)
        await grove.remove("given")


async def test_of_two_clients_with_the_same_given_database_one_is_undone_without_touching_the_other(
    grove: Provisioner,
) -> None:
    async with own_database(grove.url) as url:
        wanted = {"kind": "database", "url": url}
        first, second = await grove.request("twin-a", placement=wanted), await grove.request("twin-b", placement=wanted)
        views = await asyncio.gather(grove.runner().run(first), grove.runner().run(second))
        won, lost = sorted(views, key=lambda view: view.state, reverse=True)
        assert (won.state, lost.state) == ("succeeded", "failed")
        assert lost.error is not None
        assert (lost.error["code"], lost.error["pointer"]) == ("database_refused", "/placement/url")
        assert len(await fetch(url, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 't\\_%'")) == 1
        assert str(won.client_id) in {row["id"] for row in await fetch(grove.url, "SELECT id FROM grove.clients")}
        await grove.remove(str(won.client_id))


async def test_a_given_login_that_may_make_no_roles_serves_and_is_listed_as_unhardened(grove: Provisioner) -> None:
    async with own_database(grove.url) as url:
        name = url.rpartition("/")[2]
        await execute(url, f"CREATE ROLE plain_{name} LOGIN PASSWORD 'pw'; ALTER DATABASE {name} OWNER TO plain_{name}")
        given = f"postgresql://plain_{name}:pw@{url.rpartition('@')[2]}"
        view = await grove.create("plain", placement={"kind": "database", "url": given})
        assert view.state == "succeeded"
        placement = (await grove.context("plain")).placement
        assert placement.owner_role == placement.reader_role == placement.login_role == f"plain_{name}"
        missing = await grove.fetch("SELECT unhardened FROM grove.placements WHERE client_id = 'plain'")
        assert any("may make no roles" in sentence for sentence in missing[0]["unhardened"])
        result = (await grove.check("plain")).result
        assert result is not None
        assert result["summary"]["leaks"] > 0
        assert result["summary"]["unhardened"]
        assert (await grove.remove("plain")).state == "succeeded"
        await execute(
            url, f"REASSIGN OWNED BY plain_{name} TO CURRENT_USER; DROP OWNED BY plain_{name}; DROP ROLE plain_{name}"
        )


async def test_what_is_away_is_tried_again_later(grove: Provisioner) -> None:
    async with own_database(grove.url) as url, proxy_to(url) as line:
        operation_id = await grove.request("away", placement={"kind": "database", "url": line.url})
        await line.stop()
        waiting = await grove.runner().run(operation_id)
        assert waiting.state == "pending"
        assert waiting.not_before is not None
        assert waiting.error is None
        assert waiting.steps[0].last_error == "The database cannot be reached (ConnectionRefusedError)."
        assert (await grove.runner().run(operation_id)).steps[0].attempts == 1, "its back-off is not over"

        await line.start()
        await grove.make_due(operation_id)
        done = await grove.runner().run(operation_id)
        assert done.state == "succeeded"
        assert done.steps[0].attempts == 2
        assert done.steps[0].last_error is None
        assert (await grove.remove("away")).state == "succeeded"


async def test_a_cancelled_onboarding_is_undone(grove: Provisioner) -> None:
    before = await grove.catalogs()
    operation_id = await grove.request("regretted")
    async with grove.serving.session() as session:
        assert await delete_client(session, "regretted", ACTOR, now=grove.now, grace_days=30) == operation_id
    view = await grove.runner().run(operation_id)
    assert view.state == "failed"
    assert view.error is not None
    assert view.error["code"] == "cancelled"
    assert await grove.catalogs() == before


async def test_a_running_operation_is_left_to_its_runner_and_a_lost_ones_is_taken_over(grove: Provisioner) -> None:
    operation_id = await grove.request("leased")
    take = (
        "UPDATE grove.operations SET state = 'running', runner = 'x', lease_until = now() + $2::interval WHERE id = $1"
    )
    await grove.execute(take.replace("$2::interval", "interval '10 s'"), operation_id)
    assert (await grove.runner().run(operation_id)).state == "running"
    async with grove.control.session() as session:
        assert operation_id not in await unscoped_due_operations(session)

    await grove.execute(take.replace("$2::interval", "interval '-1 s'"), operation_id)
    async with grove.control.session() as session:
        assert operation_id in await unscoped_due_operations(session)
    assert (await grove.runner().run(operation_id)).state == "succeeded"


async def test_two_runners_at_once_make_one_client(grove: Provisioner) -> None:
    operation_id = await grove.request("contended")
    views = await asyncio.gather(grove.runner().run(operation_id), grove.runner().run(operation_id))
    assert {view.state for view in views} <= {"running", "succeeded"}
    async with grove.control.session() as session:
        view = await get_operation(session, operation_id)
    assert {step.attempts for step in view.steps} == {1}
    rows = await grove.fetch("SELECT id FROM grove.operations WHERE client_id = 'contended'")
    assert [row["id"] for row in rows] == [operation_id]


async def test_the_serving_login_may_neither_delete_clients_nor_read_administrators_secrets(grove: Provisioner) -> None:
    for statement in (
        "DELETE FROM grove.clients",
        "SELECT login_password_sealed FROM grove.placements",
        "UPDATE grove.servers SET serve_login = 'x'",
        "UPDATE grove.audit_log SET actor = 'x'",
        "DELETE FROM grove.revocations",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(grove.serving.url, statement)
