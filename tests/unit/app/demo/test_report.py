"""What the demo tells people."""

from pathlib import Path

import pytest

from app.asgi import create_litestar
from app.demo.clients import CLIENTS
from app.demo.grafana import LocalGrafana
from app.demo.keys import ClientKeys, Login
from app.demo.report import tell_grafana, tell_sites, tell_start, tell_where
from app.demo.sites.opening import SITES, OpenSite
from app.demo.sites.tags import Tag
from app.embedded.grafana import Installation
from app.observability import Metrics
from app.settings import Settings
from provisioning.grafana.versions import read_version

LOCAL = LocalGrafana(installation=Installation(Path("/opt/grafana"), Path("/opt/grafana/bin/grafana")))


def test_every_address_that_is_told_is_one_that_answers(capsys: pytest.CaptureFixture[str]) -> None:
    keys = ClientKeys(admin="a", server="s", browser="b")
    people = [(client, keys, Login(client.person.email, "secret")) for client in CLIENTS]
    tell_where("http://grove.test", "p", people, grafana=True)
    tell_sites("http://grove.test", [OpenSite(site, "http://127.0.0.1:1", Tag("", "", "", "")) for site in SITES])
    addresses = [word.rstrip(",") for word in capsys.readouterr().out.split() if "://" in word]
    assert addresses.count("http://127.0.0.1:1/") == len(SITES)
    told = [word.removeprefix("http://grove.test") for word in addresses if "127.0.0.1" not in word]
    assert len(told) > len(CLIENTS)
    routes = {route.path for route in create_litestar(Settings(), Metrics(None)).routes}
    patterns = {path.replace("{client_id:str}", client.id) for path in routes for client in CLIENTS}
    assert {path.removesuffix("/") for path in told} - {""} <= patterns


@pytest.mark.parametrize(
    ("local", "version", "told"),
    [
        (LOCAL, "12.4.11", "Staff see their own Grafana (12.4.11) through Grove."),
        (
            LOCAL,
            "9.4.0-pre",
            "Careful: Grafana 9.4.0-pre is not supported; supported is 12. The demo runs it",
        ),
        (LocalGrafana(), "9.4.0", "It is allowed by a setting"),
        (LocalGrafana(missing="none is here."), None, "Staff see the built-in dashboards. No Grafana: none is here."),
    ],
)
def test_what_staff_see_is_told_with_what_is_wrong_with_it(
    capsys: pytest.CaptureFixture[str], local: LocalGrafana, version: str | None, told: str
) -> None:
    tell_grafana(local, None if version is None else read_version(version))
    said = capsys.readouterr().out
    assert told in said
    assert ("Careful" in said) == (version is not None and version.startswith("9"))


def test_no_start_of_a_grafana_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    tell_start(LOCAL)
    tell_start(LocalGrafana(missing="none is here."))
    assert capsys.readouterr().err.splitlines() == [
        "Starting Postgres, Valkey, Grafana and Grove …",
        "No Grafana is started: none is here. Staff will see the built-in dashboards.",
        "Starting Postgres, Valkey and Grove …",
    ]
