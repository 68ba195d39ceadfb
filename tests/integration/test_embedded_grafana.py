"""The embedded Grafana: a real server, started, killed, found again."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.embedded.engines import Engines, find_running
from app.embedded.errors import EngineFailed
from app.embedded.grafana import EmbeddedGrafana, GrafanaSecrets, Installation
from app.settings import Settings
from tests.support.grafana import local_installation
from tests.support.waiting import until

pytestmark = pytest.mark.grafana
SECRETS = GrafanaSecrets("p" * 32, "s" * 32, "X-Grove-0123456789abcdef")


@pytest.fixture(scope="module")
def installation() -> Installation:
    """The Grafana of this machine; skips where there is none."""
    return local_installation()


@pytest.fixture
def engine(tmp_path: Path, installation: Installation) -> Iterator[EmbeddedGrafana]:
    """A started Grafana whose folder lies below pytest's closed one."""
    started = EmbeddedGrafana(tmp_path / "grafana", SECRETS, installation)
    started.start()
    yield started
    started.stop()


def ask(engine: EmbeddedGrafana, path: str, **headers: str) -> int:
    """Return the status of an answer."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(engine.url + path, headers=given, trust_env=False).status_code


def test_it_tells_where_it_is_and_how_to_be_let_in(engine: EmbeddedGrafana) -> None:
    access = engine.access
    assert access.url == f"http://127.0.0.1:{engine.port}"
    assert httpx.get(f"{access.url}/api/org", auth=("admin", access.admin_password), trust_env=False).is_success
    assert access.version.startswith(access.release)


def test_staff_are_named_by_the_secret_header_and_by_no_other(engine: EmbeddedGrafana) -> None:
    assert ask(engine, "/api/user", X_Grove_0123456789abcdef="admin") == 200
    assert ask(engine, "/api/user", X_WEBAUTH_USER="admin") == 401


def test_only_loopback_is_listened_on(engine: EmbeddedGrafana) -> None:
    sockets = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
    listening = [local for _, local, _, state, *_ in sockets if state == "0A"]
    assert [address for address in listening if address.endswith(f":{engine.port:04X}")] == [
        f"0100007F:{engine.port:04X}"
    ]


def test_neither_password_nor_header_is_on_the_command_line(engine: EmbeddedGrafana) -> None:
    command = Path(f"/proc/{engine.pid}/cmdline").read_bytes().decode()
    assert not [secret for secret in (SECRETS.admin_password, SECRETS.secret_key, SECRETS.header) if secret in command]


def test_nobody_else_can_open_its_folder(engine: EmbeddedGrafana) -> None:
    assert stat.S_IMODE(engine.folder.stat().st_mode) == 0o700


def test_it_never_runs_as_root(engine: EmbeddedGrafana) -> None:
    assert Path(f"/proc/{engine.pid}").stat().st_uid != 0


def test_the_settings_of_the_gateway_are_in_force(engine: EmbeddedGrafana) -> None:
    login = ("admin", SECRETS.admin_password)
    settings = httpx.get(f"{engine.url}/api/admin/settings", auth=login, trust_env=False).json()
    assert settings["auth.proxy"]["auto_sign_up"] == "false"
    assert settings["auth.proxy"]["whitelist"] == "127.0.0.1"
    assert settings["snapshots"]["enabled"] == "false"


@pytest.mark.fault(29)
def test_a_second_start_finds_the_data_and_the_port(engine: EmbeddedGrafana) -> None:
    login, url = ("admin", SECRETS.admin_password), engine.url
    httpx.post(f"{url}/api/orgs", json={"name": "kept"}, auth=login, trust_env=False).raise_for_status()
    engine.stop()
    assert not engine.running
    engine.start()
    assert engine.url == url
    assert httpx.get(f"{url}/api/orgs/name/kept", auth=login, trust_env=False).is_success


def test_another_port_is_taken_when_a_stranger_has_ours(engine: EmbeddedGrafana) -> None:
    url = engine.url
    engine.stop()
    with socket.create_server(("127.0.0.1", int((engine.folder / "port").read_text()))):
        engine.start()
        assert engine.url != url


def test_a_running_server_is_adopted_without_an_installation(engine: EmbeddedGrafana) -> None:
    adopter = EmbeddedGrafana(engine.folder, SECRETS, None)
    adopter.start()
    assert (adopter.pid, adopter.access) == (engine.pid, engine.access)
    adopter.stop()
    assert not engine.running


def test_one_that_a_dead_process_left_running_is_adopted(tmp_path: Path, installation: Installation) -> None:
    folder = tmp_path / "grafana"
    program = (
        "import os, sys; from pathlib import Path; from app.embedded.grafana import *; "
        "there = EmbeddedGrafana(Path(sys.argv[1]), GrafanaSecrets(*sys.argv[4:]), "
        "Installation(Path(sys.argv[2]), Path(sys.argv[3]))); there.start(); print(there.pid); "
        "sys.stdout.flush(); os._exit(0)"
    )
    words = [str(folder), str(installation.home), str(installation.program)]
    words += [SECRETS.admin_password, SECRETS.secret_key, SECRETS.header]
    left = subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, text=True)
    adopter = EmbeddedGrafana(folder, SECRETS, installation)
    adopter.start()
    assert adopter.pid == int(left.stdout)
    adopter.stop()
    assert not adopter.running


def test_other_secrets_than_those_of_the_server_are_reported(engine: EmbeddedGrafana) -> None:
    with pytest.raises(EngineFailed, match=r"the password in secrets\.json is not the one"):
        EmbeddedGrafana(engine.folder, GrafanaSecrets("another", "", ""), None).start()


def test_a_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path, installation: Installation) -> None:
    broken = Installation(tmp_path, installation.program)
    with pytest.raises(EngineFailed, match=r"it ended at once\.\n"):
        EmbeddedGrafana(tmp_path / "grafana", SECRETS, broken).start()


async def test_the_engines_of_a_folder_come_back_with_their_grafana(tmp_path: Path, installation: Installation) -> None:
    settings = Settings(data_dir=tmp_path / "data", grafana_allow_version="12")
    engines = Engines(installation)

    async def is_back() -> bool:
        return find_running(settings) == urls

    try:
        urls = engines.start(settings)
        assert find_running(settings) == urls
        completed = urls.complete(settings)
        assert engines.grafana is not None
        assert completed.grafana_url == engines.grafana.url
        assert completed.grafana_allow_version == engines.grafana.access.release
        assert completed.grafana_header.startswith("X-Grove-")
        kept = settings.data_dir / "grafana/secrets.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert kept.stat().st_uid == os.geteuid()
        engines.watch()
        dead = engines.grafana.pid
        engines.grafana.kill()
        await until(is_back, within_s=10)
        assert engines.grafana.pid != dead
    finally:
        engines.stop()
    assert find_running(settings) is None
