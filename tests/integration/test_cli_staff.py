"""A client's people from the command line."""

import asyncio
import json
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import CliRunner, Result

from app.bootstrap import bootstrap
from app.commands import staff, tenant
from app.embedded.postgres import EmbeddedPostgres
from app.settings import to_environ
from tests.support.grove import grove_settings, own_database

Grove = Callable[..., Result]


@pytest.fixture(scope="module")
def grove(postgres: EmbeddedPostgres) -> Iterator[Grove]:
    """Runs a command as an operator does, on a database with one client."""
    with asyncio.Runner() as runner:
        context = own_database(postgres.url)
        settings = grove_settings(runner.run(context.__aenter__()))
        runner.run(bootstrap(settings))
        group = click.Group("grove", commands=[tenant.command, staff.command])

        def run(*words: str, **more: str) -> Result:
            return CliRunner().invoke(group, words, env=to_environ(settings) | more)

        assert run("tenant", "create", "maple").exit_code == 0
        yield run
        runner.run(context.__aexit__(None, None, None))


def people(grove: Grove) -> dict[str, tuple[str, str]]:
    """List who works at the client."""
    listed = json.loads(grove("staff", "list", "maple", "--json").stdout)
    return {person["email"]: (person["role"], person["status"]) for person in listed}


def test_a_person_is_invited_with_a_link_changed_and_removed(grove: Grove) -> None:
    made = grove("staff", "invite", "maple", "Ana@maple.example", "--name", "Ana", "--role", "editor")
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("http://grove.test/maple/invitation/")
    assert people(grove)["ana@maple.example"] == ("editor", "invited")
    assert "ana@maple.example" in grove("staff", "list", "maple").stdout
    again = grove("staff", "link", "maple", "ana@maple.example")
    assert again.stdout.splitlines()[0] != made.stdout.splitlines()[0]
    assert grove("staff", "change", "maple", "ana@maple.example", "--role", "viewer", "--disable").exit_code == 0
    assert people(grove)["ana@maple.example"] == ("viewer", "disabled")
    assert grove("staff", "change", "maple", "ana@maple.example", "--enable").stdout.endswith("viewer, invited.\n")
    assert grove("staff", "remove", "maple", "ana@maple.example").exit_code == 0
    assert people(grove) == {}


def test_with_a_mail_server_the_link_goes_there(grove: Grove) -> None:
    mail = {"GROVE_SMTP_URL": "smtp://127.0.0.1:1", "GROVE_MAIL_FROM": "a@agency.example"}
    made = grove("staff", "invite", "maple", "ben@maple.example", **mail)
    assert made.stdout == "A link is on its way to ben@maple.example.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("invite", "maple", "no address"), "This is no e-mail address."),
        (("invite", "nobody", "a@maple.example"), "There is no client nobody."),
        (("list", "nobody"), "There is no client nobody."),
        (("link", "maple", "who@maple.example"), "Nobody at maple has the address who@maple.example."),
        (("remove", "maple", "who@maple.example"), "Nobody at maple has the address who@maple.example."),
    ],
)
def test_what_cannot_be_done_is_said(grove: Grove, words: tuple[str, ...], said: str) -> None:
    refused = grove("staff", *words)
    assert refused.exit_code == 2
    assert said in refused.stderr
