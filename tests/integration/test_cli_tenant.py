"""Clients and keys from the command line."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from app.bootstrap import bootstrap
from app.commands import key, migrate, tenant, token
from app.embedded.postgres import EmbeddedPostgres
from app.settings import Settings, to_environ
from tests.support.grove import execute, grove_settings, own_database

Grove = Callable[..., Result]
_TOKEN = """
INSERT INTO grove.service_tokens (id, client_id, key_id, signing_key, name, scopes, created_at, expires_at)
SELECT gen_random_uuid(), client_id, id, $1, 'billing', '{write}', now(), now() + interval '15 minutes'
FROM grove.api_keys WHERE client_id = 'elm' LIMIT 1
"""


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres) -> Iterator[Settings]:
    """A database that Grove was started on once."""
    with asyncio.Runner() as runner:
        context = own_database(postgres.url)
        settings = grove_settings(runner.run(context.__aenter__()), delete_grace_days=3)
        runner.run(bootstrap(settings))
        yield settings
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def grove(database: Settings) -> Grove:
    """Runs a command as an operator does."""
    group = click.Group("grove", commands=[tenant.command, key.command, token.command, migrate.command])
    environ = to_environ(database)

    def run(*words: str, text: str | None = None, **more: str) -> Result:
        return CliRunner().invoke(group, words, env=environ | more, input=text)

    return run


def test_a_client_is_made_with_keys_and_then_listed_and_shown(grove: Grove) -> None:
    made = grove("tenant", "create", "maple", "--name", "Maple Dental", "--timezone", "Europe/Paris", "--json")
    assert made.exit_code == 0, made.output
    printed = json.loads(made.stdout)
    assert set(printed["keys"]) == {"admin", "server", "browser"}
    assert printed["client"]["status"] == "active"
    assert [client["id"] for client in json.loads(grove("tenant", "list", "--json").stdout)] == ["maple"]
    assert json.loads(grove("tenant", "show", "maple", "--json").stdout) == printed["client"]
    assert "Maple Dental" in grove("tenant", "list").stdout
    assert "Europe/Paris" in grove("tenant", "show", "maple").stdout


def test_what_is_wrong_with_a_new_client_is_said_line_by_line_and_nothing_is_made(grove: Grove) -> None:
    refused = grove("tenant", "create", "api", "--timezone", "Mars/Base", "--primary-color", "red")
    assert refused.exit_code == 2
    assert {"/id", "/timezone", "/branding/primaryColor"} <= {
        line.split(": ")[1] for line in refused.stderr.splitlines()
    }
    assert grove("tenant", "show", "api").exit_code == 2


def test_an_id_that_is_taken_is_refused(grove: Grove) -> None:
    grove("tenant", "create", "taken")
    refused = grove("tenant", "create", "taken")
    assert refused.exit_code == 2
    assert "There is a client of this id." in refused.stderr


def test_a_client_is_suspended_resumed_deleted_restored_and_removed(grove: Grove) -> None:
    grove("tenant", "create", "birch")

    def status() -> str:
        return str(json.loads(grove("tenant", "show", "birch", "--json").stdout)["status"])

    for words, then in (
        (("suspend", "birch"), "suspended"),
        (("resume", "birch"), "active"),
        (("delete", "birch", "--yes"), "deleting"),
        (("restore", "birch"), "active"),
    ):
        assert grove("tenant", *words).exit_code == 0
        assert status() == then
    assert grove("tenant", "remove", "birch", text="beech\n").exit_code == 1
    assert status() == "active"
    assert grove("tenant", "remove", "birch", text="birch\n").exit_code == 0
    assert "No such client" in grove("tenant", "show", "birch").stderr


def test_deleting_asks_first(grove: Grove) -> None:
    grove("tenant", "create", "cedar")
    assert grove("tenant", "delete", "cedar", text="n\n").exit_code == 1
    assert json.loads(grove("tenant", "show", "cedar", "--json").stdout)["status"] == "active"


def test_the_walls_of_a_client_are_tried_and_hold(grove: Grove) -> None:
    grove("tenant", "create", "walled")
    tried = grove("tenant", "isolation-check", "walled", "--json")
    assert tried.exit_code == 0, tried.output
    result = json.loads(tried.stdout)
    assert result["summary"]["attempts"] == len(result["attempts"]) > 10
    assert result["summary"]["leaks"] == 0
    assert " 0 leaks." in grove("tenant", "isolation-check", "walled").stdout


def test_a_file_of_clients_is_applied_and_applied_again_without_change(grove: Grove, tmp_path: Path) -> None:
    file = tmp_path / "clients.json"
    file.write_text(json.dumps({"clients": [{"id": "oak", "name": "Oak"}, {"id": "elm", "name": "Elm"}]}))
    assert "oak: created" in grove("tenant", "apply", str(file)).stdout
    again = grove("tenant", "apply", str(file))
    assert again.exit_code == 0
    assert again.stdout.splitlines() == ["oak: unchanged", "elm: unchanged"]
    file.write_text(json.dumps({"clients": [{"id": "oak", "name": "Oak & Co"}]}))
    assert grove("tenant", "apply", str(file)).stdout.splitlines() == ["oak: changed name"]


def write_clients(path: Path, *clients: dict[str, object]) -> str:
    path.write_text(json.dumps({"clients": clients}))
    return str(path)


def test_a_file_leaves_alone_what_it_leaves_out_and_changes_all_that_it_gives(grove: Grove, tmp_path: Path) -> None:
    def shown() -> dict[str, object]:
        client: dict[str, object] = json.loads(grove("tenant", "show", "poplar", "--json").stdout)
        return {name: client[name] for name in ("timezone", "domain", "branding", "staff", "dashboards")}

    logo = "https://poplar.example/logo.png"
    poplar: dict[str, object] = {"id": "poplar", "name": "Poplar"}
    whole: dict[str, object] = {
        "timezone": "Europe/Paris",
        "domain": "poplar.example",
        "branding": {"primaryColor": "#111111", "logoUrl": logo},
        "staff": [{"email": "ana@poplar.example", "name": "Ana", "role": "viewer"}],
        "dashboards": ["chatbot"],
    }
    file = tmp_path / "clients.json"
    assert grove("tenant", "apply", write_clients(file, poplar | whole)).exit_code == 0
    assert shown() == whole
    assert grove("tenant", "apply", write_clients(file, poplar)).stdout == "poplar: unchanged\n"
    assert shown() == whole
    change = {"staff": [], "dashboards": ["portfolio"], "branding": {"primaryColor": "#222222"}, "domain": None}
    changed = grove("tenant", "apply", write_clients(file, poplar | change))
    assert changed.stdout == "poplar: changed domain, branding, dashboards, staff\n"
    assert shown() == whole | change | {"branding": {"primaryColor": "#222222", "logoUrl": logo}}


def test_nothing_of_a_file_is_applied_if_any_of_it_is_refused_and_each_fault_names_its_client(
    grove: Grove, tmp_path: Path
) -> None:
    grove("tenant", "create", "plane")
    good: dict[str, object] = {"id": "beech", "name": "Beech", "domain": "beech.example"}
    bad: list[tuple[dict[str, object], str]] = [
        ({"id": "aspen", "name": "Aspen", "timezone": "Mars/Base"}, "aspen: /timezone"),
        ({"id": "aspen", "name": "Aspen", "domain": "beech.example"}, "aspen: /domain"),
        ({"id": "aspen", "name": "Aspen", "placement": {"server": "far"}}, "aspen: /placement/server"),
        ({"id": "aspen", "name": "Aspen", "placement": {"kind": "external"}}, "aspen: /placement/url"),
        ({"id": "plane", "name": "Plane", "placement": {"kind": "database"}}, "plane: /placement/kind"),
        ({"id": "plane", "name": "Plane", "grafanaOrgId": 3}, "plane: /grafanaOrgId"),
        ({"id": "aspen", "name": 3}, "aspen"),
        ({"name": "Aspen"}, "client 2"),
    ]
    for client, fault in bad:
        refused = grove("tenant", "apply", write_clients(tmp_path / "clients.json", good, client))
        assert (refused.exit_code, refused.stdout) == (2, ""), refused.output
        assert refused.stderr.startswith(f"grove: {fault}: "), refused.stderr
        assert grove("tenant", "show", "beech").exit_code == 2


def test_a_file_does_not_change_a_client_that_is_being_deleted(grove: Grove, tmp_path: Path) -> None:
    grove("tenant", "create", "sorrel")
    grove("tenant", "delete", "sorrel", "--yes")
    refused = grove("tenant", "apply", write_clients(tmp_path / "clients.json", {"id": "sorrel", "name": "Other"}))
    assert refused.exit_code == 2
    assert refused.stderr == "grove: sorrel: The client is being deleted; restore it first.\n"


def test_a_database_that_the_environment_gives_is_used_for_its_client_alone(
    grove: Grove, postgres: EmbeddedPostgres
) -> None:
    with asyncio.Runner() as runner:
        context = own_database(postgres.url)
        url = runner.run(context.__aenter__())
        made = grove("tenant", "create", "larch", "--kind", "database", "--json", LARCH_DB_URL=url)
        assert made.exit_code == 0, made.output
        assert [client["id"] for client in json.loads(grove("tenant", "list", "--json", PINE_DB_URL=url).stdout)].count(
            "pine"
        ) == 0
        assert grove("tenant", "remove", "larch", "--yes").exit_code == 0
        runner.run(context.__aexit__(None, None, None))


def test_keys_are_made_listed_rotated_and_revoked(grove: Grove) -> None:
    grove("tenant", "create", "fir")
    made = grove("key", "create", "--client", "fir", "--kind", "browser", "--origin", "https://fir.example")
    assert made.stdout.startswith("grv_w_")

    def keys() -> list[dict[str, object]]:
        return list(json.loads(grove("key", "list", "--client", "fir", "--json").stdout))

    key_id = str(keys()[-1]["id"])
    assert grove("key", "rotate", key_id, "--overlap", "0").stdout.startswith("grv_w_")
    assert grove("key", "revoke", str(keys()[-1]["id"])).exit_code == 0
    assert keys()[-1]["revoked_at"] is not None
    assert {each["kind"] for each in json.loads(grove("key", "list", "--json").stdout)} == {"platform"}


def test_a_platform_key_is_made_without_a_client(grove: Grove) -> None:
    assert grove("key", "create", "--name", "second").stdout.startswith("grv_p_")
    assert "second" in grove("key", "list").stdout
    assert grove("key", "create", "--kind", "admin").exit_code == 2
    assert grove("key", "create", "--client", "nobody", "--kind", "admin").exit_code == 2


def test_service_tokens_are_listed_and_revoked_and_their_signing_key_is_changed(
    grove: Grove, database: Settings
) -> None:
    grove("tenant", "create", "elm")
    assert json.loads(grove("token", "list", "elm", "--json").stdout) == []
    signing_key = grove("token", "rotate").stdout.split()[5]
    asyncio.run(execute(database.main_url, _TOKEN.replace("$1", f"'{signing_key}'")))
    (listed,) = json.loads(grove("token", "list", "elm", "--json").stdout)
    assert (listed["name"], listed["scopes"], listed["revoked_at"]) == ("billing", ["write"], None)
    assert "billing" in grove("token", "list", "elm").stdout
    assert grove("token", "revoke", "birch", listed["id"]).exit_code == 2
    assert grove("token", "revoke", "elm", listed["id"]).exit_code == 0
    assert json.loads(grove("token", "list", "elm", "--json").stdout)[0]["revoked_at"] is not None
    assert grove("token", "rotate", "--at-once").exit_code == 0


def test_migrating_what_is_current_changes_nothing_and_says_so(grove: Grove) -> None:
    for options in ((), ("--dry-run",), ("--verify",)):
        run = grove("migrate", *options)
        assert run.exit_code == 0, run.output
        assert "0 migrated, 0 behind" in run.stdout


def test_a_client_that_lags_behind_is_reported_and_then_brought_along(grove: Grove, database: Settings) -> None:
    grove("tenant", "create", "behind")
    with asyncio.Runner() as runner:
        runner.run(execute(database.main_url, "UPDATE grove.placements SET revision = '0' WHERE client_id = 'behind'"))
    looked = grove("migrate", "--dry-run")
    assert (looked.exit_code, "1 behind" in looked.stdout, "behind" in looked.stdout.split()) == (0, True, True)
    assert grove("migrate", "--verify").exit_code == 1
    assert "1 migrated, 0 behind" in grove("migrate").stdout
    assert grove("migrate", "--verify").exit_code == 0


def test_an_unprepared_database_is_told_apart_from_one_that_is_away(grove: Grove, postgres: EmbeddedPostgres) -> None:
    empty = grove("tenant", "list", DATABASE_URL=postgres.url)
    assert (empty.exit_code, empty.stderr) == (2, "grove: This database has not been prepared; run `grove migrate`.\n")
    verified = grove("migrate", "--verify", DATABASE_URL=postgres.url)
    assert verified.exit_code == 1
    assert "run `grove migrate`" in verified.stdout
    away = grove("tenant", "list", DATABASE_URL="postgresql://a:b@127.0.0.1:1/x")
    assert away.exit_code == 2
    assert away.stderr.count("\n") == 1
