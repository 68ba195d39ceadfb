"""The files with which Grove is built, shipped and run."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.settings import Settings, load, to_environ
from tests.support.environment import every_setting

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = msgspec.yaml.decode((ROOT / "infra/compose.yaml").read_text())
SERVICES = COMPOSE["services"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["grove"]
    assert DOCKERFILE.index("USER grove") > DOCKERFILE.rindex("FROM ")


def test_the_image_takes_only_what_the_lock_names() -> None:
    assert "--require-hashes -r requirements.lock" in DOCKERFILE


def test_the_image_is_given_everything_that_it_copies() -> None:
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
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
    assert all(SERVICES[name]["networks"] == ["private"] for name in ("postgres", "redis", "prometheus"))


def test_compose_has_no_password_of_its_own() -> None:
    given = [text for service in SERVICES.values() for text in service.get("environment", {}).values()]
    assert all(re.search(r"\$\{\w+:[?-]", text) or text == "grove" for text in given)


def test_the_settings_that_compose_gives_are_understood() -> None:
    environ = {key: _filled(text) for key, text in SERVICES["app"]["environment"].items()}
    assert load(environ).web_processes == 2


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
    others = {"MAPLE_DB_URL", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "PUBLISH"}
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
    assert re.findall(r"make (\w+)", said)[:8] == ["help", "demo", "test", "check", "bench", "tools", "lock", "clean"]


def _filled(text: str) -> str:
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    filled = re.sub(r"\$\{\w+:\?[^}]*\}", "x" * 32, text)
    return f"https://{filled}" if filled == "x" * 32 else filled
