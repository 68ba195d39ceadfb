"""A `DATABASE_URL` that may not do everything still serves, and what it cannot wall off is said."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.control import ControlPlane
from tenants.errors import DatabaseRefused
from tenants.registry import with_database, with_login
from tests.support.engines import throwaway_postgres
from tests.support.provisioner import Provisioner, execute, prepared


@asynccontextmanager
async def limited(cluster: EmbeddedPostgres, attributes: str) -> AsyncIterator[str]:
    """Make a login that owns a database and is no superuser."""
    name = f"limited_{secrets.token_hex(3)}"
    await execute(cluster.url, f"CREATE ROLE {name} LOGIN PASSWORD 'pw' {attributes}")
    await execute(cluster.url, f"CREATE DATABASE {name} OWNER {name}")
    yield with_login(with_database(cluster.url, name), user=name, password="pw")
    await execute(cluster.url, f"DROP DATABASE {name} WITH (FORCE)")


async def made_and_removed(grove: Provisioner, kind: str) -> dict[str, object]:
    before = await grove.catalogs()
    assert (await grove.create("maple", placement={"kind": kind})).state == "succeeded"
    view = await grove.check("maple")
    assert view.result is not None
    assert (await grove.remove("maple")).state == "succeeded"
    assert await grove.catalogs() == before
    return view.result


async def test_one_that_may_make_roles_has_all_walls_but_those_of_the_catalogs() -> None:
    with throwaway_postgres() as cluster:
        async with limited(cluster, "CREATEROLE CREATEDB") as url, prepared(url) as grove:
            for kind in ("schema", "database"):
                result = await made_and_removed(grove, kind)
                leaked = {attempt["wall"] for attempt in result["attempts"] if attempt["outcome"] != "denied"}  # type: ignore[attr-defined]
                assert leaked <= {"catalogs", "statistics", "storage", "locks", "making", "other databases"}
                assert result["summary"]["unhardened"]  # type: ignore[index]


async def test_one_that_may_make_no_roles_serves_by_itself_and_that_is_said() -> None:
    with throwaway_postgres() as cluster:
        async with limited(cluster, "") as url, prepared(url) as grove:
            await grove.serving.close()
            grove.serving = ControlPlane(url)
            result = await made_and_removed(grove, "schema")
            summary = result["summary"]
            assert summary["leaks"] > 100  # type: ignore[index]
            assert "may make no roles" in summary["unhardened"][0]  # type: ignore[index]


async def test_another_administrators_serving_login_is_not_taken_over() -> None:
    with throwaway_postgres() as cluster:
        await execute(cluster.url, "CREATE ROLE grove_app LOGIN")
        async with limited(cluster, "CREATEROLE") as url:
            with pytest.raises(DatabaseRefused, match="grove_app"):
                async with prepared(url):
                    pass
