"""What infra/grafana.ini does, seen from outside of a real Grafana that runs with it."""

import re
import sqlite3
import subprocess
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import psycopg
import pytest

from app.embedded.cluster import wheel_programs
from app.embedded.grafana import SETTINGS
from app.gateway.rules import find_rule
from provisioning.grafana.versions import MEASURED, Version, read_version
from tests.support.engines import throwaway_postgres
from tests.support.grafana import Target, local_installation, read_settings, started_grafana

HEADER = "X-Grove-5e8c1a"
STAFF = "oak:ann@oak.example"
OUTSIDE = "https://analytics.example/"
PSQL = wheel_programs() / "psql"

pytestmark = pytest.mark.grafana


class Site(msgspec.Struct, frozen=True):
    """A Grafana with one member of staff in an organisation that is not the first."""

    target: Target
    folder: Path
    org: int

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """Send a request without a login."""
        return httpx.request(
            method, f"{self.target.url}{path}", headers=headers, timeout=15, trust_env=False, **options
        )

    def staff(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """Send a request as the gateway would."""
        return self.ask(method, path, {HEADER: STAFF} | (headers or {}), **options)

    def administrator(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as provisioning would."""
        return self.ask(method, path, auth=("admin", self.target.password), **options)

    @property
    def version(self) -> Version:
        """Which Grafana this is."""
        return read_version(self.ask("GET", "/api/health").json()["version"])

    @property
    def settings(self) -> dict[str, Any]:
        """What pages are told."""
        settings: dict[str, Any] = self.staff("GET", "/api/frontend/settings").json()
        return settings


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Grafana as infra/compose.yaml runs it, but on loopback and SQLite."""
    folder = tmp_path_factory.mktemp("grafana")
    with started_grafana(folder, _variables()) as target:
        yield _with_staff(target, folder)


@pytest.fixture(scope="module")
def far_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Grafana whose gateway is on another machine than the test."""
    folder = tmp_path_factory.mktemp("grafana")
    with started_grafana(folder, _variables(GF_AUTH_PROXY_WHITELIST="172.30.213.10")) as target:
        yield _with_staff(target, folder)


def _variables(**more: str) -> dict[str, str]:
    return {"GF_AUTH_PROXY_HEADER_NAME": HEADER, "GF_AUTH_SIGNOUT_REDIRECT_URL": OUTSIDE} | more


def _with_staff(target: Target, folder: Path) -> Site:
    site = Site(target, folder, 0)
    org = site.administrator("POST", "/api/orgs", json={"name": "oak"}).json()["orgId"]
    user = {"name": "Ann", "login": STAFF, "password": "a long password of hers", "OrgId": org}
    assert site.administrator("POST", "/api/admin/users", json=user).is_success
    return msgspec.structs.replace(site, org=org)


def test_the_header_alone_names_a_known_user(site: Site) -> None:
    said = site.staff("GET", "/api/user").json()

    assert (said["login"], said["orgId"], said["isGrafanaAdmin"]) == (STAFF, site.org, False)


def test_an_unknown_user_is_refused_and_not_made(site: Site) -> None:
    assert site.ask("GET", "/api/user", {HEADER: "stranger"}).status_code == 407
    assert site.administrator("GET", "/api/users/lookup?loginOrEmail=stranger").status_code == 404


def test_the_name_that_everybody_knows_is_not_the_headers_name(site: Site) -> None:
    assert site.ask("GET", "/api/user", {"X-WEBAUTH-USER": STAFF}).status_code == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [("EMAIL", "eve@example.com"), ("NAME", "Eve"), ("LOGIN", "admin"), ("GROUPS", "admins"), ("ROLE", "Admin")],
)
def test_no_further_header_says_anything_about_the_user(site: Site, name: str, value: str) -> None:
    for header in (f"X-WEBAUTH-{name}", f"{HEADER}-{name}"):
        assert site.staff("GET", "/api/user", {header: value}).is_success

    said = site.staff("GET", "/api/user").json()
    assert (said["login"], said["name"], said["email"]) == (STAFF, "Ann", STAFF)
    assert site.staff("GET", "/api/user/orgs").json() == [{"orgId": site.org, "name": "oak", "role": "Viewer"}]


def test_a_login_by_header_leaves_no_cookie_behind(site: Site) -> None:
    assert "set-cookie" not in site.staff("GET", "/login").headers
    assert "set-cookie" not in site.staff("GET", "/").headers


def test_who_a_name_is_is_remembered_for_a_minute(site: Site) -> None:
    assert site.staff("GET", "/api/user").is_success
    with closing(sqlite3.connect(f"file:{site.folder}/data/grafana.db?mode=ro", uri=True)) as database:
        found = database.execute("SELECT expires FROM cache_data WHERE cache_key LIKE 'auth-proxy%'").fetchall()

    assert found == [(60,)]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"])
def test_a_header_from_anywhere_but_the_gateway_is_refused(far_site: Site, name: str) -> None:
    assert far_site.staff("GET", "/api/user").status_code == 407
    assert far_site.staff("GET", "/api/user", {name: "172.30.213.10"}).status_code == 407
    assert far_site.administrator("GET", "/api/org").is_success


def test_nobody_is_let_in_without_a_name(site: Site) -> None:
    assert site.ask("GET", "/api/user").status_code == 401
    page = site.ask("GET", "/")
    assert (page.status_code, page.headers["location"]) == (302, "/login")


def test_the_login_form_is_closed_even_to_the_right_password(site: Site) -> None:
    sent = {"user": "admin", "password": site.target.password}

    assert site.ask("POST", "/login", json=sent).status_code == 401
    assert site.settings["disableLoginForm"] is True


def test_nobody_signs_up(site: Site) -> None:
    assert site.ask("POST", "/api/user/signup", json={"email": "eve@example.com"}).status_code == 401
    assert site.settings["disableUserSignUp"] is True


def test_staff_make_no_organisations(site: Site) -> None:
    assert site.staff("POST", "/api/orgs", json={"name": "of my own"}).status_code == 403
    assert site.settings["allowOrgCreate"] is False


def test_no_lasting_keys_are_given_out_even_to_administrators(site: Site) -> None:
    key = {"name": "key", "role": "Admin"}
    assert site.administrator("POST", "/api/auth/keys", json=key).status_code == 400
    assert site.administrator("POST", "/api/auth/keys", json=key | {"secondsToLive": 60}).status_code == 400

    account = site.administrator("POST", "/api/serviceaccounts", json={"name": "key", "role": "Admin"}).json()["id"]
    tokens = f"/api/serviceaccounts/{account}/tokens"
    assert site.administrator("POST", tokens, json={"name": "key"}).status_code == 400
    assert site.administrator("POST", tokens, json={"name": "key", "secondsToLive": 200_000}).status_code == 400


def test_snapshots_are_refused_by_grafana_or_where_it_cannot_by_the_gateway(site: Site) -> None:
    answer = site.staff("POST", "/api/snapshots", json={"dashboard": {"title": "Figures"}, "expires": 60})

    assert answer.is_success is (site.version.parts[:2] == MEASURED)
    for path in ("/api/snapshots", "/api/snapshot/shared-options", "/dashboard/snapshot/a-key"):
        assert all(find_rule(method, path, "editor") is None for method in ("GET", "POST", "DELETE"))
    assert site.staff("GET", "/api/snapshot/shared-options").json()["externalEnabled"] is False


@pytest.mark.parametrize("name", ["exploreEnabled", "alertingEnabled", "unifiedAlertingEnabled", "helpEnabled",
                                  "pluginAdminEnabled", "feedbackLinksEnabled", "queryHistoryEnabled",
                                  "expressionsEnabled", "viewersCanEdit", "editorsCanAdmin"])  # fmt: skip
def test_what_grove_does_not_use_is_off(site: Site, name: str) -> None:
    assert site.settings[name] is False


def test_no_toggle_is_on_that_opens_a_way_out(site: Site) -> None:
    closed = {name for name, value in read_settings()["feature_toggles"].items() if value == "false"}

    assert {"publicDashboards", "correlations"} <= closed
    assert closed & set(site.settings["featureToggles"]) == set()


def test_public_dashboards_cannot_be_made_even_by_administrators(site: Site) -> None:
    org = {"X-Grafana-Org-Id": str(site.org)}
    figures = {"dashboard": {"uid": "figures", "title": "Figures"}}
    assert site.administrator("POST", "/api/dashboards/db", json=figures, headers=org).is_success

    public = "/api/dashboards/uid/figures/public-dashboards"
    assert site.administrator("POST", public, json={"isEnabled": True}, headers=org).status_code == 404
    assert site.administrator("GET", "/api/dashboards/public-dashboards", headers=org).status_code == 404


def test_explore_leads_back_home(site: Site) -> None:
    page = site.staff("GET", "/explore")

    assert (page.status_code, page.headers["location"]) == (302, "/")


def test_expressions_are_not_computed(site: Site) -> None:
    query = {"refId": "A", "datasource": {"uid": "__expr__", "type": "__expr__"}, "type": "math", "expression": "1+1"}

    assert not site.staff("POST", "/api/ds/query", json={"queries": [query]}).is_success


def test_metrics_are_not_told(site: Site) -> None:
    assert site.staff("GET", "/metrics").status_code == 404
    assert site.administrator("GET", "/metrics").status_code == 404


def test_pictures_of_people_come_from_nowhere_else(site: Site) -> None:
    assert site.staff("GET", "/api/user").json()["avatarUrl"] == "/public/img/user_profile.png"


def test_signing_out_leads_to_grove(site: Site) -> None:
    left = site.staff("GET", "/logout")

    assert (left.status_code, left.headers["location"]) == (302, OUTSIDE)


def test_the_version_can_be_read_without_a_login(site: Site) -> None:
    assert site.version.parts > (0, 0, 0)


def test_grafana_knows_every_setting_but_those_that_are_marked_as_later(site: Site) -> None:
    defaults = RawConfigParser(strict=False)
    defaults.optionxform = str  # type: ignore[assignment,method-assign]
    text = (local_installation().home / "conf/defaults.ini").read_text()
    defaults.read_string(f"[of no section]\n{text}")
    unknown = {
        (section, key)
        for section, values in read_settings().items()
        for key in values
        if section != "feature_toggles" and not defaults.has_option(section, key)
    }

    assert unknown <= _marked_as_later()
    if site.version.parts[:2] == MEASURED:
        assert unknown == _marked_as_later()


def test_its_data_can_be_in_a_postgres_database_that_nobody_else_may_enter(tmp_path: Path) -> None:
    script = SETTINGS.parent / "postgres/grafana.sql"
    with throwaway_postgres() as postgres:
        subprocess.run(
            [PSQL, "--set=ON_ERROR_STOP=1", f"--file={script}", postgres.url],
            env={"GRAFANA_DATABASE_PASSWORD": "f00d"},
            check=True,
            capture_output=True,
        )
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE client LOGIN PASSWORD 'f00d'")
        address = urlsplit(postgres.url).netloc.rpartition("@")[2]
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(f"postgresql://client:f00d@{address}/grafana")

        own = {"GF_DATABASE_URL": f"postgres://grafana:f00d@{address}/grafana"}
        with started_grafana(tmp_path, _variables() | own) as target:
            assert _with_staff(target, tmp_path).staff("GET", "/api/user").is_success
            with psycopg.connect(f"postgresql://grafana:f00d@{address}/grafana") as connection:
                assert connection.execute('SELECT login FROM "user" ORDER BY id').fetchall() == [("admin",), (STAFF,)]


def _marked_as_later() -> set[tuple[str, str]]:
    marked, section, later = set(), "", False
    for line in SETTINGS.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif match := re.match(r"(\w+) =", line):
            marked |= {(section, match[1])} if later else set()
        later = line.startswith("# later")
    return marked
