"""The Grafana of infra/compose.yaml and of the image, and the settings with which it runs."""

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import msgspec
import pytest

from provisioning.grafana.versions import read_version
from tests.support.compose import COMPOSE, ROOT, SERVICES, fill_in
from tests.support.grafana import read_settings

GRAFANA = SERVICES["grafana"]
IMAGE = (ROOT / "infra/grafana/Dockerfile").read_text()
PORT = 3000  # Grafana's own
SETTINGS = read_settings()


def test_the_image_of_grafana_is_one_that_grove_accepts_and_the_same_everywhere() -> None:
    version = read_version(GRAFANA["image"].removeprefix("grafana/grafana:"))
    assert version.fault is None
    assert f"FROM {GRAFANA['image']}\n" in IMAGE


def test_grafana_runs_with_the_settings_of_this_repository_and_a_host_adds_none_of_its_own() -> None:
    assert "./grafana.ini:/etc/grafana/grafana.ini:ro" in GRAFANA["volumes"]
    assert "COPY infra/grafana.ini /etc/grafana/grafana.ini\n" in IMAGE
    assert set(GRAFANA["environment"]) == {
        "GF_SERVER_HTTP_ADDR",
        "GF_DATABASE_URL",
        "GF_SECURITY_ADMIN_PASSWORD",
        "GF_SECURITY_SECRET_KEY",
        "GF_AUTH_PROXY_HEADER_NAME",
        "GF_AUTH_PROXY_WHITELIST",
        "GF_AUTH_SIGNOUT_REDIRECT_URL",
    }


def test_grafana_believes_the_header_of_the_applications_address_alone() -> None:
    (network,) = COMPOSE["networks"]["private"]["ipam"]["config"]
    address = fill_in(SERVICES["app"]["networks"]["private"]["ipv4_address"])
    assert fill_in(GRAFANA["environment"]["GF_AUTH_PROXY_WHITELIST"]) == address
    assert ip_address(address) in ip_network(fill_in(network["subnet"]))
    assert ip_address(address) not in ip_network(fill_in(network["ip_range"]))


def test_grafana_and_the_gateway_agree_on_a_header_that_has_to_be_chosen() -> None:
    name = SERVICES["app"]["environment"]["GROVE_GRAFANA_HEADER"]
    assert name == GRAFANA["environment"]["GF_AUTH_PROXY_HEADER_NAME"]
    assert name.startswith("${GROVE_GRAFANA_HEADER:?")


def test_grafana_and_provisioning_agree_on_the_administrators_password() -> None:
    passwords = {SERVICES[name]["environment"]["GRAFANA_ADMIN_PASSWORD"] for name in ("app", "worker")}
    assert passwords == {GRAFANA["environment"]["GF_SECURITY_ADMIN_PASSWORD"]}


def test_grafana_encrypts_with_a_key_of_its_own() -> None:
    assert GRAFANA["environment"]["GF_SECURITY_SECRET_KEY"].startswith("${GRAFANA_SECRET_KEY:?")


def test_signing_out_of_grafana_leads_to_grove() -> None:
    outside = SERVICES["app"]["environment"]["GROVE_PUBLIC_URL"]
    assert GRAFANA["environment"]["GF_AUTH_SIGNOUT_REDIRECT_URL"] == outside


def test_grafana_stores_its_data_in_a_database_that_postgres_makes_at_its_first_start() -> None:
    script = (ROOT / "infra/postgres/grafana.sql").read_text()
    user, password, place = re.fullmatch(
        r"postgres://(\w+):(\$\{[^}]+\})@(.+)", GRAFANA["environment"]["GF_DATABASE_URL"]
    ).groups()  # type: ignore[union-attr]
    assert place == "postgres:5432/grafana"
    assert password == SERVICES["postgres"]["environment"]["GRAFANA_DATABASE_PASSWORD"]
    assert f"CREATE ROLE {user} LOGIN" in script
    assert "./postgres/grafana.sql:/docker-entrypoint-initdb.d/grafana.sql:ro" in SERVICES["postgres"]["volumes"]
    assert not [volume for volume in GRAFANA["volumes"] if not volume.startswith("./")]


def test_grafana_finds_the_database_of_the_clients_under_the_name_that_grove_gives_it() -> None:
    database = urlsplit(fill_in(SERVICES["app"]["environment"]["DATABASE_URL"])).hostname
    assert database in SERVICES
    assert set(SERVICES[database]["networks"]) & set(GRAFANA["networks"])


def test_grafanas_health_is_asked_where_it_listens() -> None:
    assert GRAFANA["healthcheck"]["test"][-1] == f"http://127.0.0.1:{PORT}/api/health"
    assert "http_port" not in SETTINGS["server"]


def test_where_clients_databases_are_far_grafana_gets_a_way_out_and_no_way_in() -> None:
    further = msgspec.yaml.decode((ROOT / "infra/compose.attached.yaml").read_text())
    assert further == {
        "services": {"grafana": {"networks": ["private", "outward"]}},
        "networks": {"outward": {}},
    }


def test_grafana_listens_on_both_kinds_of_addresses_where_a_network_may_have_either() -> None:
    assert "ENV GF_SERVER_HTTP_ADDR=::\n" in IMAGE


# What the contract with Grafana and the list of attacks ask for, each with its reason.
DEMANDED = [
    ("auth.proxy", "enabled", "true", "the gateway names who is asking"),
    ("auth.proxy", "header_property", "username", "by login, as e-mail addresses are made up"),
    ("auth.proxy", "auto_sign_up", "false", "whom provisioning has not made is nobody"),
    ("auth.proxy", "headers", "", "a mapped role moves people into organisation 1"),
    ("auth.proxy", "enable_login_token", "false", "a cookie would outlive a revoked session"),
    ("auth.proxy", "sync_ttl", "1", "0 remembers for a day who a name is, and 1 is the least that is less"),
    ("auth.proxy", "whitelist", "127.0.0.1, ::1/128", "where nobody says otherwise, this machine alone is believed"),
    ("auth.anonymous", "enabled", "false", "everybody has a name"),
    ("auth.anonymous", "hide_version", "false", "Grove refuses versions without security patches"),
    ("auth.basic", "enabled", "true", "provisioning alone uses it: nothing else creates organisations"),
    ("auth", "disable_login_form", "true", "staff log in at Grove, and the administrator's password opens no page"),
    ("auth", "disable_signout_menu", "true", "signing out is a matter of Grove's session"),
    ("auth", "oauth_auto_login", "false", "there is no other login"),
    ("auth", "api_key_max_seconds_to_live", "1", "keys would be a way in without a session"),
    ("service_accounts", "token_expiration_day_limit", "1", "and so would tokens"),
    ("users", "allow_sign_up", "false", "staff are invited"),
    ("users", "allow_org_create", "false", "an organisation is a client"),
    ("users", "viewers_can_edit", "false", "viewers look"),
    ("users", "editors_can_admin", "false", "nobody at a client administers its organisation"),
    ("snapshots", "enabled", "false", "whoever has a snapshot's key reads it"),
    ("snapshots", "external_enabled", "false", "figures would go to a server of others"),
    ("snapshots", "public_mode", "false", "snapshots of strangers would be taken"),
    ("public_dashboards", "enabled", "false", "they need no login"),
    ("feature_toggles", "publicDashboards", "false", "the same, in older versions"),
    ("feature_toggles", "correlations", "false", "they crossed organisations"),
    ("feature_toggles", "sqlExpressions", "false", "viewers could run programs with them"),
    ("feature_toggles", "onPremToCloudMigrations", "false", "it hands out everything"),
    ("feature_toggles", "kubernetesDashboards", "false", "its addresses are not on the gateway's list"),
    ("expressions", "enabled", "false", "SQL expressions are among them"),
    ("cloud_migration", "enabled", "false", "it hands out everything"),
    ("explore", "enabled", "false", "it is for asking whatever one likes"),
    ("query_history", "enabled", "false", "it is explore's"),
    ("alerting", "enabled", "false", "alerts are Grove's, and rules are further code that runs"),
    ("unified_alerting", "enabled", "false", "as above"),
    ("plugins", "plugin_admin_enabled", "false", "plugins are programs"),
    ("plugins", "preinstall_disabled", "true", "nothing is fetched at the start"),
    ("plugins", "preinstall_auto_update", "false", "a version is what was tried"),
    ("plugins", "disable_plugins", "grafana-testdata-datasource", "it takes the memory that a query asks for"),
    ("security", "disable_gravatar", "true", "addresses of staff would go to a server of others"),
    ("security", "allow_embedding", "false", "pages in frames of strangers invite clicks"),
    ("analytics", "reporting_enabled", "false", "nobody is told that this server exists"),
    ("analytics", "check_for_updates", "false", "as above"),
    ("analytics", "check_for_plugin_updates", "false", "as above"),
    ("analytics", "feedback_links_enabled", "false", "they name another product than the client's"),
    ("news", "news_feed_enabled", "false", "as above"),
    ("help", "enabled", "false", "as above"),
    ("metrics", "enabled", "false", "they count what all clients do"),
    ("dataproxy", "row_limit", "100000", "one query takes no more memory than there is"),
]


@pytest.mark.parametrize(("section", "key", "value", "reason"), DEMANDED, ids=[f"{d[0]}-{d[1]}" for d in DEMANDED])
def test_grafana_is_set_as_the_walls_need_it(section: str, key: str, value: str, reason: str) -> None:
    assert SETTINGS[section].get(key) == value, reason


def test_no_setting_of_grafana_takes_dangers_back() -> None:
    assert "enable" not in SETTINGS["feature_toggles"]
    assert not [
        section for section in SETTINGS if re.match(r"auth\.(?!proxy|basic|anonymous)|rendering|plugin\.", section)
    ]
    assert not [key for values in SETTINGS.values() for key in values if re.search(r"password$|secret", key)]
