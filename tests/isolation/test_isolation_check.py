"""The check finds every wall standing on a fresh server, and sees each breach that is made on purpose."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.placement import Placement
from tests.support.engines import throwaway_postgres
from tests.support.grove import own_database
from tests.support.provisioner import Provisioner, execute, fetch, prepared


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedPostgres]:
    """A cluster of this module's own, on which no other test opens a database."""
    with throwaway_postgres() as engine:
        yield engine


@pytest.fixture(scope="module")
async def grove(cluster: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    async with prepared(cluster.url) as opened:
        await opened.create("maple")
        await opened.create("birch")
        await opened.create("cedar", placement={"kind": "database"})
        yield opened


async def leaks(grove: Provisioner, client_id: str) -> list[dict[str, Any]]:
    view = await grove.check(client_id)
    assert view.state == "succeeded"
    assert view.result is not None
    attempts = view.result["attempts"]
    found = [attempt for attempt in attempts if attempt["outcome"] != "denied"]
    assert view.result["summary"]["attempts"] == len(attempts)
    assert view.result["summary"]["leaks"] == len(found)
    return found


@pytest.mark.parametrize("client_id", ["maple", "birch", "cedar"])
async def test_no_role_of_a_client_crosses_any_wall(grove: Provisioner, client_id: str) -> None:
    view = await grove.check(client_id)
    assert view.result is not None
    assert view.result["summary"]["unhardened"] == []
    assert [attempt for attempt in view.result["attempts"] if attempt["outcome"] != "denied"] == []
    assert view.result["summary"]["attempts"] > 200
    roles = {attempt["role"] for attempt in view.result["attempts"]}
    assert roles == {"writer", "reader", "serving login", "login reader"}
    assert await grove.fetch("SELECT FROM pg_class WHERE relname = 'grove_probe'") == []


async def test_what_the_check_made_is_gone_afterwards(grove: Provisioner) -> None:
    before = await grove.catalogs()
    await leaks(grove, "maple")
    assert await grove.catalogs() == before


async def test_a_neighbour_in_the_same_database_is_tried_by_its_own_tables(grove: Provisioner) -> None:
    view = await grove.check("maple")
    assert view.result is not None
    tried = [attempt["attempt"] for attempt in view.result["attempts"] if attempt["role"] == "login reader"]
    assert "read the events of another client" in tried
    assert "connect to another client's database" in tried


SEE_SESSIONS = (
    "GRANT SELECT ON pg_stat_activity TO {login}; GRANT EXECUTE ON FUNCTION pg_stat_get_activity(int) TO {login}"
)


def own(sql: str) -> Any:
    def write(placement: Placement, other: Placement) -> str:
        names = {"own": placement.schema, "reader": placement.reader_role, "login": placement.login_role}
        names |= {"writer": placement.writer_role, "owner": placement.owner_role, "other": other.schema}
        return sql.format(**{name: f'"{value}"' for name, value in names.items()}, database="{database}")

    return write


@pytest.mark.parametrize(
    ("breach", "mend", "wall", "role"),
    [
        ("GRANT USAGE ON SCHEMA {other} TO {reader}; GRANT SELECT ON {other}.events TO {reader}",
         "REVOKE USAGE ON SCHEMA {other} FROM {reader}; REVOKE SELECT ON {other}.events FROM {reader}",
         "other clients", "reader"),
        ("GRANT SELECT ON pg_class TO {login}", "REVOKE SELECT ON pg_class FROM {login}", "catalogs", "login reader"),
        (SEE_SESSIONS, SEE_SESSIONS.replace("GRANT", "REVOKE").replace(" TO ", " FROM "), "statistics", "login reader"),
        ("GRANT {owner} TO {login}", "REVOKE {owner} FROM {login}", "roles", "login reader"),
        ("GRANT DELETE ON {own}.events TO {login}", "REVOKE DELETE ON {own}.events FROM {login}",
         "read only", "login reader"),
        ("GRANT pg_read_server_files TO {writer}; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {writer}",
         "REVOKE pg_read_server_files FROM {writer}; REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM {writer}",
         "files", "writer"),
        ("GRANT EXECUTE ON FUNCTION lo_create(oid) TO {reader}",
         "REVOKE EXECUTE ON FUNCTION lo_create(oid) FROM {reader}", "storage", "reader"),
        ("GRANT EXECUTE ON FUNCTION pg_try_advisory_xact_lock(bigint) TO {reader}",
         "REVOKE EXECUTE ON FUNCTION pg_try_advisory_xact_lock(bigint) FROM {reader}", "locks", "reader"),
        ("GRANT USAGE ON SCHEMA grove TO {reader}; GRANT SELECT ON grove.clients TO {reader}",
         "REVOKE USAGE ON SCHEMA grove FROM {reader}; REVOKE SELECT ON grove.clients FROM {reader}",
         "control plane", "reader"),
        ("GRANT CONNECT ON DATABASE postgres TO {login}", "REVOKE CONNECT ON DATABASE postgres FROM {login}",
         "other databases", "login reader"),
        ("GRANT CREATE ON SCHEMA public TO {writer}", "REVOKE CREATE ON SCHEMA public FROM {writer}",
         "making", "writer"),
        ("GRANT USAGE ON SCHEMA {own} TO grove_app; GRANT SELECT ON {own}.events TO grove_app",
         "REVOKE USAGE ON SCHEMA {own} FROM grove_app; REVOKE SELECT ON {own}.events FROM grove_app",
         "no role, no data", "serving login"),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
async def test_a_breach_is_seen(grove: Provisioner, breach: str, mend: str, wall: str, role: str) -> None:
    maple, birch = (await grove.context("maple")).placement, (await grove.context("birch")).placement
    await grove.execute(own(breach)(maple, birch))
    try:
        found = await leaks(grove, "maple")
    finally:
        await grove.execute(own(mend)(maple, birch))
    assert (wall, role) in {(leak["wall"], leak["role"]) for leak in found}
    assert {leak["wall"] for leak in found} == {wall}


async def test_a_query_under_another_clients_role_is_refused(grove: Provisioner) -> None:
    maple, birch = (await grove.context("maple")).placement, (await grove.context("birch")).placement
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(
            maple.serve_url, f'BEGIN; SET LOCAL ROLE "{birch.reader_role}"; SELECT FROM "{maple.schema}".events'
        )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(maple.serve_url, f'SELECT FROM "{maple.schema}".events')


async def test_names_in_the_catalogs_tell_no_client(grove: Provisioner) -> None:
    rows = await grove.fetch(
        "SELECT nspname AS name FROM pg_namespace UNION SELECT rolname FROM pg_roles "
        "UNION SELECT datname FROM pg_database"
    )
    names = {row["name"] for row in rows}
    assert not [name for name in names for client in ("maple", "birch", "cedar") if client in name]


async def test_a_walled_login_still_finds_its_own_tables(grove: Provisioner) -> None:
    placement = (await grove.context("maple")).placement
    rows = await fetch(
        await grove.login_url(placement),
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema NOT LIKE 'pg_%' "
        "AND table_schema <> 'information_schema'",
    )
    assert {row["table_schema"] for row in rows} == {placement.schema}
    assert {"UserEvents", "events"} <= {row["table_name"] for row in rows}


async def test_a_database_that_others_left_open_is_listed(grove: Provisioner) -> None:
    async with own_database(grove.url) as url:
        await grove.create("listed")
        rows = await grove.fetch("SELECT unhardened FROM grove.placements WHERE client_id = 'listed'")
        assert any(url.rpartition("/")[2] in sentence for sentence in rows[0]["unhardened"])
        await grove.remove("listed")
