"""The engines of one data folder together, and the account under which root starts them."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from redis import Redis

from app.embedded.account import ensure_reachable, ensure_service_account, find_account
from app.embedded.engines import Engines, EngineUrls, find_running
from app.embedded.errors import EngineError, EngineFailed, EnginesInUse
from app.settings import Settings

GIVEN: dict[str, Any] = {
    "database_url": "postgresql://u:p@db/grove",
    "redis_url": "redis://cache",
    "secret_key": "k" * 32,
}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which starts engines under another account")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an embedded server with a new data folder."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def engines() -> Iterator[Engines]:
    """Engines that are stopped afterwards."""
    made = Engines()
    yield made
    made.stop()


def await_that(holds: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_both_engines_answer_at_the_urls_that_are_returned(engines: Engines, settings: Settings) -> None:
    urls = engines.start(settings)
    psycopg.connect(urls.database_url).close()
    with Redis.from_url(str(urls.redis_url)) as client:
        assert client.ping()
    assert len(urls.secret_key) >= 32


def test_nothing_starts_when_both_servers_are_given(engines: Engines, settings: Settings) -> None:
    given = msgspec.structs.replace(settings, **GIVEN)
    assert engines.start(given) == EngineUrls(**GIVEN)
    assert find_running(given) == EngineUrls(**GIVEN)
    assert not settings.data_dir.exists()


def test_a_given_database_leaves_nothing_to_start_without_redis_either(engines: Engines, settings: Settings) -> None:
    urls = engines.start(msgspec.structs.replace(settings, **GIVEN | {"redis_url": None}))
    assert urls == EngineUrls(GIVEN["database_url"], None, GIVEN["secret_key"])
    assert not settings.data_dir.exists()


def test_a_given_valkey_leaves_only_postgres_to_start(engines: Engines, settings: Settings) -> None:
    urls = engines.start(msgspec.structs.replace(settings, redis_url=GIVEN["redis_url"]))
    assert urls.redis_url == GIVEN["redis_url"]
    assert engines.valkey is None
    assert not (settings.data_dir / "valkey").exists()


def test_the_second_start_returns_the_same_urls_and_secret(settings: Settings) -> None:
    returned = []
    for _ in range(2):
        engines = Engines()
        returned.append(engines.start(settings))
        engines.stop()
    assert returned[0] == returned[1]


def test_one_process_at_a_time_looks_after_a_data_folder(engines: Engines, settings: Settings) -> None:
    engines.start(settings)
    with pytest.raises(EnginesInUse, match=rf"already runs on the data folder .* \(process {os.getpid()}\)"):
        Engines().start(settings)


def test_a_command_finds_what_runs_and_nothing_after_the_stop(settings: Settings) -> None:
    assert find_running(settings) is None
    engines = Engines()
    urls = engines.start(settings)
    assert find_running(settings) == urls
    engines.stop()
    assert find_running(settings) is None


def test_engines_that_die_are_back_within_seconds_at_the_same_place(engines: Engines, settings: Settings) -> None:
    urls = engines.start(settings)
    engines.watch()
    assert engines.postgres is not None
    assert engines.valkey is not None
    dead = {engines.postgres.pid, engines.valkey.pid}
    engines.postgres.kill()
    engines.valkey.kill()
    await_that(lambda: find_running(settings) == urls)
    assert not dead & {engines.postgres.pid, engines.valkey.pid}


def test_an_engine_that_cannot_be_revived_is_tried_again(engines: Engines, settings: Settings) -> None:
    urls = engines.start(settings)
    assert engines.postgres is not None
    configuration = engines.postgres.data / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text("this is no setting\n")
    engines.watch()
    engines.postgres.kill()
    log = engines.postgres.folder / "postgres.log"
    await_that(lambda: "syntax error" in log.read_text())
    configuration.write_text(good)
    await_that(lambda: find_running(settings) == urls)


def test_a_failed_start_leaves_nothing_running(settings: Settings) -> None:
    broken = msgspec.structs.replace(settings, valkey_server=Path("/none/valkey-server"))
    with pytest.raises(EngineFailed, match="Valkey"):
        Engines().start(broken)
    assert not (settings.data_dir / "postgres/data/postmaster.pid").exists()
    engines = Engines()
    engines.start(settings)
    engines.stop()


@as_root
def test_root_runs_the_engines_under_an_account_of_their_own(tmp_path: Path) -> None:
    account = find_account(tmp_path / "new")
    assert account == ensure_service_account()
    assert account.uid != 0


@as_root
def test_root_serves_the_folder_of_an_ordinary_user_as_that_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    account = find_account(tmp_path)
    assert account is not None
    assert account.uid == 65534


@as_root
def test_the_account_may_pass_a_closed_folder_and_not_look_into_it(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True, mode=0o755)
    (closed / "private").write_text("private")
    closed.chmod(0o700)
    account = ensure_service_account()
    for _ in range(2):  # the second time there is an entry already
        ensure_reachable(closed / "data", account)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
        may = [os.access(closed / "data", os.X_OK), os.access(closed, os.R_OK), os.access(closed, os.W_OK)]
        os._exit(0 if may == [True, False, False] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert closed.stat().st_mode & 0o007 == 0


@as_root
def test_a_folder_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(EngineError, match=r"cannot enter /proc/1/none .*run `chmod o\+x /proc/1/none`"):
        ensure_reachable(Path("/proc/1/none"), ensure_service_account())
