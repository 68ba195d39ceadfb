"""A client's quarantine from the command line."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import CliRunner, Result

from app.bootstrap import bootstrap
from app.commands import quarantine, tenant
from app.embedded.postgres import EmbeddedPostgres
from app.ingest.steps import uuid7
from app.settings import to_environ
from tenants.clock import utc_now
from tests.support.grove import grove_settings, own_database
from tests.support.history import fetch_in

_REFUSE = """
INSERT INTO {schema}.quarantine (id, flush, received_at, key_id, event_id, code, pointer, detail, body, event_uuid)
VALUES ($1, 1, $2, $3, $4, 'wrong_type', '/name', 'Expected `str`, got `int`.', $5, $1)
"""


class Shell:
    """Runs commands as an operator does, and looks into the client's tables."""

    def __init__(self, run: Callable[..., Result], url: str, schema: str) -> None:
        self._run = run
        self._url = url
        self._schema = schema

    def run(self, command: str, *words: str, text: str | None = None) -> Result:
        """Run `grove quarantine`."""
        return self._run("quarantine", command, "--client", "maple", *words, text=text)

    def rows(self, sql: str, *args: object) -> list[tuple[object, ...]]:
        """Ask the client's tables."""
        return [tuple(row) for row in asyncio.run(fetch_in(self._url, self._schema, sql, *args))]

    def refuse(self, event_id: str, body: bytes) -> str:
        """Put an event into quarantine."""
        now = utc_now()
        row_id = uuid7(now)
        self.rows(_REFUSE, row_id, now, uuid.UUID(int=1), event_id, body)
        return str(row_id)


@pytest.fixture(scope="module")
def shell(postgres: EmbeddedPostgres) -> Iterator[Shell]:
    """A database with one client."""
    with asyncio.Runner() as runner:
        context = own_database(postgres.url)
        settings = grove_settings(runner.run(context.__aenter__()))
        runner.run(bootstrap(settings))
        group = click.Group("grove", commands=[tenant.command, quarantine.command])

        def run(*words: str, text: str | None = None) -> Result:
            return CliRunner().invoke(group, words, env=to_environ(settings), input=text)

        assert run("tenant", "create", "maple").exit_code == 0
        places = runner.run(fetch_in(settings.main_url, "", "SELECT schema_name FROM grove.placements"))
        yield Shell(run, settings.main_url, places[0]["schema_name"])
        runner.run(context.__aexit__(None, None, None))


def test_a_refused_event_is_shown_mended_and_stored(shell: Shell) -> None:
    row_id = shell.refuse("cli-1", b'{"name": 7}')
    assert "cli-1" in shell.run("list").stdout
    assert [row["id"] for row in json.loads(shell.run("list", "--json").stdout)] == [row_id]
    assert json.loads(shell.run("show", row_id).stdout)["body"] == {"name": 7}
    hopeless = shell.run("replay", row_id)
    assert (hopeless.exit_code, hopeless.stdout) == (1, "0 stored, 0 known before, 1 refused again.\n")
    assert shell.run("edit", row_id, text="[]").exit_code == 2
    assert shell.run("edit", row_id, text='{"name": "mended"}').exit_code == 0
    assert shell.run("replay", row_id).stdout == "1 stored, 0 known before, 0 refused again.\n"
    assert shell.rows("SELECT event_id::text, name FROM {schema}.events") == [(row_id, "mended")]
    assert shell.run("show", row_id).exit_code == 2


def test_all_that_fit_are_replayed_or_purged(shell: Shell) -> None:
    for number in range(3):
        shell.refuse(f"many-{number}", b'{"name": "fine"}')
    shell.rows(
        "INSERT INTO {schema}.quarantine (id, flush, received_at, key_id, code, pointer, detail, body) "
        "SELECT gen_random_uuid(), 1, now(), gen_random_uuid(), 'too_old', '', '', $1 FROM generate_series(1, 450)",
        b'{"name": "fine"}',
    )
    assert shell.run("replay").exit_code == 2
    assert shell.run("replay", "--all", "--code", "too_old").stdout.startswith("450 stored, ")
    assert shell.rows("SELECT count(*) FROM {schema}.events WHERE name = 'fine'") == [(450,)]
    assert shell.run("purge", "--all", "--code", "nothing").stdout == "0 purged.\n"
    assert shell.run("purge", "--all").stdout == "3 purged.\n"
    assert json.loads(shell.run("list", "--json").stdout) == []


def test_what_is_not_there_is_said_in_one_line(shell: Shell) -> None:
    missing = shell.run("show", str(uuid.uuid4()))
    assert (missing.exit_code, missing.stderr) == (2, "grove: There is no such event in quarantine.\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("replay", "1 stored, 0 known before, 0 refused again, 1 not found.\n"),
        ("purge", "1 purged, 1 not found.\n"),
    ],
)
def test_a_named_event_that_is_not_there_makes_a_failure(shell: Shell, command: str, said: str) -> None:
    row_id = shell.refuse(f"named-{command}", b'{"name": "fine"}')
    done = shell.run(command, row_id, str(uuid.uuid4()))
    assert (done.exit_code, done.stdout) == (1, said)
