"""Further servers: registered from the command line, and clients that live on them."""

import asyncio
import json
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import CliRunner, Result

from app.bootstrap import bootstrap
from app.commands import migrate, server, tenant
from app.embedded.postgres import EmbeddedPostgres
from app.settings import Settings, to_environ
from tests.support.engines import throwaway_postgres
from tests.support.grove import grove_settings, own_database
from tests.support.provisioner import fetch

Grove = Callable[..., Result]


@pytest.fixture(scope="module")
def other() -> Iterator[EmbeddedPostgres]:
    """A second cluster."""
    with throwaway_postgres() as engine:
        yield engine


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres) -> Iterator[Settings]:
    """A database that Grove was started on once."""
    with asyncio.Runner() as runner:
        context = own_database(postgres.url)
        settings = grove_settings(runner.run(context.__aenter__()))
        runner.run(bootstrap(settings))
        yield settings
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def grove(database: Settings) -> Grove:
    """Runs a command as an operator does."""
    group = click.Group("grove", commands=[tenant.command, server.command, migrate.command])
    environ = to_environ(database)

    def run(*words: str, **more: str) -> Result:
        return CliRunner().invoke(group, words, env=environ | more)

    return run


@pytest.fixture(scope="module")
def far(grove: Grove, other: EmbeddedPostgres) -> str:
    """The name under which the second cluster is registered."""
    added = grove("server", "add", "far", other.url)
    assert added.exit_code == 0, added.output
    return "far"


def test_a_registered_server_is_listed_beside_the_main_one(grove: Grove, far: str) -> None:
    assert json.loads(grove("server", "list", "--json").stdout) == ["main", far]
    assert far in grove("server", "list").stdout


@pytest.mark.parametrize("kind", ["schema", "database"])
def test_a_client_is_made_on_a_registered_server_walled_off_there_and_removed(
    grove: Grove, far: str, other: EmbeddedPostgres, kind: str
) -> None:
    def schemas(url: str) -> set[str]:
        return {row["nspname"] for row in asyncio.run(fetch(url, "SELECT nspname FROM pg_namespace"))}

    def databases() -> set[str]:
        return {row["datname"] for row in asyncio.run(fetch(other.url, "SELECT datname FROM pg_database"))}

    before = schemas(other.url), databases()
    made = grove("tenant", "create", f"distant-{kind}", "--kind", kind, "--server", far, "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["client"]["placement"]["server"] == far
    assert (schemas(other.url), databases()) != before
    tried = grove("tenant", "isolation-check", f"distant-{kind}", "--json")
    assert tried.exit_code == 0, tried.output
    assert "0 behind" in grove("migrate", "--verify").stdout
    assert grove("tenant", "remove", f"distant-{kind}", "--yes").exit_code == 0
    assert (schemas(other.url), databases()) == before


def test_a_server_cannot_be_registered_twice_and_loses_nothing_by_the_attempt(
    grove: Grove, far: str, other: EmbeddedPostgres, database: Settings
) -> None:
    for url, name in ((database.main_url, "main"), (other.url, far)):
        refused = grove("server", "add", "again", url)
        assert refused.exit_code == 2
        assert refused.stderr == f"grove: This server is registered already, as {name}.\n"
    assert "There is a server of this name." in grove("server", "add", far, other.url).stderr
    assert grove("tenant", "list").exit_code == 0
    assert json.loads(grove("server", "list", "--json").stdout) == ["main", far]


@pytest.mark.parametrize(
    ("name", "url", "fault"),
    [
        ("Far", "postgresql://u:p@127.0.0.1:1/x", "/name: "),
        ("t_0123456789abcdef", "postgresql://u:p@127.0.0.1:1/x", "/name: "),
        ("near", "mysql://u:p@127.0.0.1/x", "/url: "),
        ("near", "postgresql://u:p@127.0.0.1:1/x", "There is no database to be reached at this address."),
    ],
)
def test_what_is_no_server_is_refused(grove: Grove, name: str, url: str, fault: str) -> None:
    refused = grove("server", "add", name, url)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"grove: {fault}")
