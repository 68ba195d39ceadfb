"""The files with which Grove is built, shipped and run."""

import re
import subprocess
import tomllib

import msgspec
import pytest

from app.settings import Settings, load, to_environ
from tests.support.compose import COMPOSE, ROOT, SERVICES, fill_in
from tests.support.environment import every_setting

DOCKERFILE = (ROOT / "Dockerfile").read_text()
GRAFANA = SERVICES["grafana"]
GRAFANA_IMAGE = (ROOT / "infra/grafana/Dockerfile").read_text()
LOCKS = ("requirements.lock", "requirements-dev.lock")


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["grove"]
    assert DOCKERFILE.index("USER grove") > DOCKERFILE.rindex("FROM ")


def test_the_image_takes_only_what_the_lock_names() -> None:
    assert "--require-hashes -r requirements.lock" in DOCKERFILE


def test_the_images_are_given_everything_that_they_copy() -> None:
    copied = {
        word
        for text in (DOCKERFILE, GRAFANA_IMAGE)
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        for word in line.split()
    }
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_the_health_paths_exist(path: str) -> None:
    routes = (ROOT / "app/api/health.py").read_text()
    assert f'"{path}"' in routes


def test_image_and_platform_ask_for_health_where_it_is_answered() -> None:
    railway = tomllib.loads((ROOT / "railway.toml").read_text())
    assert "/health/live" in DOCKERFILE
    assert railway["build"] == {"builder": "DOCKERFILE", "dockerfilePath": "Dockerfile"}
    assert railway["deploy"]["healthcheckPath"] == "/health/ready"
    assert railway["deploy"]["startCommand"] == "grove serve"


def test_only_the_application_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["app"]
    assert COMPOSE["networks"]["private"]["internal"] is True
    assert all(SERVICES[name]["networks"] == ["private"] for name in ("postgres", "redis", "grafana", "prometheus"))


def test_compose_has_no_password_of_its_own() -> None:
    given = [text for service in SERVICES.values() for text in service.get("environment", {}).values()]
    open_to_all = {"grove", "http://grafana:3000", "0.0.0.0"}  # noqa: S104 - an address of the private network
    assert all(re.search(r"\$\{\w+:[?-]", text) or text in open_to_all for text in given)


def test_the_settings_that_compose_gives_are_understood() -> None:
    environ = {key: fill_in(text) for key, text in SERVICES["app"]["environment"].items()}
    environ["GROVE_GRAFANA_HEADER"] = "X-Grove-5e8c1a"
    settings = load(environ)
    assert settings.web_processes == 2
    assert settings.grafana_url == "http://grafana:3000"


@pytest.mark.parametrize("service", ["app", "worker"])
def test_a_stop_of_the_containers_waits_for_the_drain(service: str) -> None:
    web_then_worker_s = 2 * (Settings().drain_timeout_s + 5)
    assert int(SERVICES[service]["stop_grace_period"].removesuffix("s")) > web_then_worker_s


def test_prometheus_asks_the_application() -> None:
    config = msgspec.yaml.decode((ROOT / "infra/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["static_configs"] == [{"targets": ["app:8000"]}]


def test_the_example_environment_names_every_setting_with_its_default() -> None:
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    known = set(every_setting())
    others = {"MAPLE_DB_URL"} | (_named(COMPOSE) - known)
    assert set(example) == known | others
    defaults = to_environ(Settings())
    assert {key: example[key] for key in defaults} == defaults
    assert load({key: text for key, text in example.items() if key not in others}).embedded is False


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_is_hashed_and_none_names_a_registry(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.findall(r"^[a-z0-9][\w.-]*(?:\[.*\])?==", text, re.MULTILINE)
    assert len(packages) > 20
    assert len(re.findall(r"== ?\S+.*\\\n    --hash=", text)) == len(packages)
    assert "://" not in text


def test_the_lock_of_the_product_is_part_of_the_one_for_development() -> None:
    product, development = (set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS)
    assert product <= development


def test_make_lists_its_targets() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"make (\w+)", said)[:10] == [
        "help", "demo", "test", "check", "bench", "faults", "tools", "countries", "lock", "clean",
    ]  # fmt: skip


def test_every_service_that_may_not_be_reached_is_also_confined() -> None:
    for name in ("app", "worker", "grafana", "prometheus"):
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_services_start_in_an_order_in_which_each_finds_what_it_needs() -> None:
    needs = {
        name: {other: each["condition"] for other, each in service["depends_on"].items()}
        for name, service in SERVICES.items()
        if isinstance(service.get("depends_on"), dict)
    }
    healthy, started = "service_healthy", "service_started"
    assert needs == {
        "app": {"postgres": healthy, "redis": healthy, "grafana": started},
        "worker": {"app": healthy},
        "grafana": {"postgres": healthy},
    }
    assert all(service["restart"] == "unless-stopped" for service in SERVICES.values())


def test_railway_builds_grafana_and_the_worker_from_this_repository() -> None:
    for name in ("railway.toml", "infra/railway/grafana.toml", "infra/railway/worker.toml"):
        assert (ROOT / tomllib.loads((ROOT / name).read_text())["build"]["dockerfilePath"]).exists()
    grafana = tomllib.loads((ROOT / "infra/railway/grafana.toml").read_text())
    worker = tomllib.loads((ROOT / "infra/railway/worker.toml").read_text())
    assert grafana["build"]["dockerfilePath"] == "infra/grafana/Dockerfile"
    assert grafana["deploy"]["healthcheckPath"] == "/api/health"
    assert worker["deploy"]["startCommand"] == "grove worker"
    assert "healthcheckPath" not in worker["deploy"]  # it answers no requests


def test_the_runbook_of_railway_names_every_variable_that_a_service_needs() -> None:
    runbook = (ROOT / "infra/runbooks/railway.md").read_text()
    ours = set(SERVICES["app"]["environment"]) - {"GROVE_WEB_PROCESSES", "GROVE_SMTP_URL", "GROVE_MAIL_FROM"}
    theirs = set(GRAFANA["environment"]) - {"GF_SERVER_HTTP_ADDR"}
    assert {name for name in ours | theirs if f"`{name}`" not in runbook} == set()


def _named(compose: object) -> set[str]:
    """Name the variables that compose reads."""
    return set(re.findall(r"\$\{(\w+)", msgspec.json.encode(compose).decode()))
