"""Which Grafana of a machine is started."""

from pathlib import Path

import pytest

from app.embedded.errors import EngineFailed, EngineMissing
from app.embedded.grafana import EmbeddedGrafana, GrafanaAccess, GrafanaSecrets, find_installation


def install(home: Path, *programs: str) -> Path:
    """Lay out a Grafana."""
    for name in ("conf/defaults.ini", *(f"bin/{program}" for program in programs)):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch(mode=0o755)
    return home


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_the_home_that_is_given_counts(tmp_path: Path) -> None:
    home = install(tmp_path / "home", "grafana", "grafana-server")

    assert find_installation(home).command == [str(home / "bin/grafana"), "server", "--homepath", str(home)]


def test_a_version_with_a_program_for_the_server_is_started_by_it(tmp_path: Path) -> None:
    home = install(tmp_path / "home", "grafana-server")

    assert find_installation(home).command == [str(home / "bin/grafana-server"), "--homepath", str(home)]


def test_a_home_that_holds_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"GRAFANA_HOME is .*, where there is no bin/grafana"):
        find_installation(tmp_path)


def test_a_program_on_the_path_leads_to_what_belongs_to_it(tmp_path: Path, path: Path) -> None:
    home = install(tmp_path / "home", "grafana")
    (path / "grafana").symlink_to(home / "bin/grafana")

    assert find_installation(None).home == home


def test_a_package_with_its_files_elsewhere_is_found(tmp_path: Path, path: Path) -> None:
    install(tmp_path / "brew/share/grafana")
    (tmp_path / "brew/bin").mkdir()
    (tmp_path / "brew/bin/grafana").touch(mode=0o755)
    (path / "grafana").symlink_to(tmp_path / "brew/bin/grafana")

    found = find_installation(None)
    assert (found.home, found.program) == (tmp_path / "brew/share/grafana", path / "grafana")


def test_without_any_the_reason_is_told() -> None:
    with pytest.raises(EngineMissing, match="neither GRAFANA_URL nor GRAFANA_HOME is set, and there is none on the"):
        find_installation(None)


def test_without_the_settings_of_a_checkout_none_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.embedded.grafana.SETTINGS", tmp_path / "none.ini")
    with pytest.raises(EngineMissing, match="from a source checkout alone"):
        find_installation(None)


def test_secrets_are_new_each_time_and_the_header_can_be_one() -> None:
    one, other = GrafanaSecrets.make(), GrafanaSecrets.make()

    assert not {one.admin_password, one.secret_key, one.header} & {other.admin_password, other.secret_key, other.header}
    assert one.header.startswith("X-Grove-")
    assert one.header.replace("-", "").isalnum()


@pytest.mark.parametrize(("version", "release"), [("9.4.0-pre", "9.4.0"), ("12.4.11", "12.4.11"), ("dev", "0")])
def test_a_release_is_the_version_in_numbers(version: str, release: str) -> None:
    assert GrafanaAccess("http://127.0.0.1:1", "", "", version).release == release


def test_nothing_is_known_before_the_first_start(tmp_path: Path) -> None:
    engine = EmbeddedGrafana(tmp_path, GrafanaSecrets("", "", ""), None)
    assert not engine.running
    for unknown in ("url", "access", "pid", "port"):
        with pytest.raises(EngineFailed, match="has not been started"):
            getattr(engine, unknown)
    with pytest.raises(EngineFailed, match="not said which program"):
        engine.start()
