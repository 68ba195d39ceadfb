"""The embedded Valkey: real servers, started, killed, found again."""

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis

from app.embedded.errors import EngineFailed
from app.embedded.valkey import EmbeddedValkey
from tests.support.engines import throwaway_valkey

PASSWORD = "p" * 32
REDIS_SERVER = shutil.which("redis-server")
ANSWER = b"42"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A started Valkey whose folder lies below pytest's closed one."""
    started = EmbeddedValkey(tmp_path / "valkey", PASSWORD)
    started.start()
    yield started
    started.stop()


def write(engine: EmbeddedValkey) -> None:
    """Write a value and wait until it is on disk."""
    with Redis.from_url(engine.url) as client:
        client.set("answer", ANSWER)
        assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1


def read(engine: EmbeddedValkey) -> object:
    """Read the value."""
    with Redis.from_url(engine.url) as client:
        return client.get("answer")


def test_a_wrong_password_is_refused(engine: EmbeddedValkey) -> None:
    with (
        Redis.from_url(engine.url.replace(PASSWORD, "wrong")) as client,
        pytest.raises(AuthenticationError, match="invalid username-password pair"),
    ):
        client.ping()


def test_the_password_is_not_on_the_command_line(engine: EmbeddedValkey) -> None:
    assert PASSWORD.encode() not in Path(f"/proc/{engine.pid}/cmdline").read_bytes()


def test_the_socket_is_closed_to_others_and_asks_for_the_password(engine: EmbeddedValkey) -> None:
    path = engine.socket_dir / "valkey.sock"
    assert path.stat().st_mode & 0o077 == 0
    assert engine.socket_dir.stat().st_mode & 0o077 == 0
    with Redis(unix_socket_path=str(path), password=PASSWORD) as client:
        assert client.ping()


def test_it_never_runs_as_root(engine: EmbeddedValkey) -> None:
    assert Path(f"/proc/{engine.pid}").stat().st_uid != 0


def test_a_second_start_finds_the_data_and_the_port(engine: EmbeddedValkey) -> None:
    write(engine)
    url = engine.url
    engine.stop()
    assert not engine.running
    engine.start()
    assert engine.url == url
    assert read(engine) == ANSWER


def test_what_is_on_disk_survives_a_kill(engine: EmbeddedValkey) -> None:
    write(engine)
    url = engine.url
    engine.kill()
    assert not engine.running
    engine.start()
    assert engine.url == url
    assert read(engine) == ANSWER


def test_another_port_is_taken_when_a_stranger_has_ours(engine: EmbeddedValkey) -> None:
    url = engine.url
    engine.stop()
    with socket.create_server(("127.0.0.1", int((engine.folder / "port").read_text()))):
        engine.start()
        assert engine.url != url


def test_a_running_server_is_adopted(engine: EmbeddedValkey) -> None:
    adopter = EmbeddedValkey(engine.folder, PASSWORD)
    adopter.start()
    assert (adopter.pid, adopter.url) == (engine.pid, engine.url)
    adopter.stop()
    await_end(engine)


def test_a_running_server_that_cannot_be_identified_is_ended_first(engine: EmbeddedValkey) -> None:
    (engine.folder / "pid").unlink()
    other = EmbeddedValkey(engine.folder, PASSWORD)
    other.start()
    await_end(engine)
    other.stop()


def await_end(engine: EmbeddedValkey) -> None:
    """Wait until the engine's process is gone; that it was ended shows a moment later."""
    deadline = time.monotonic() + 5
    while engine.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_other_secrets_than_those_of_the_server_are_reported(engine: EmbeddedValkey) -> None:
    with pytest.raises(EngineFailed, match=r"the password in secrets\.json is not the one"):
        EmbeddedValkey(engine.folder, "another").start()


def test_a_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    engine = EmbeddedValkey(tmp_path / "valkey", "two words")
    with pytest.raises(EngineFailed, match=r"it ended at once\.\n"):
        engine.start()
    assert not engine.running


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="there is no /none/valkey-server"):
        EmbeddedValkey(tmp_path / "valkey", PASSWORD, server=Path("/none/valkey-server")).start()


def test_nothing_is_known_before_the_first_start(tmp_path: Path) -> None:
    engine = EmbeddedValkey(tmp_path, PASSWORD)
    assert not engine.running
    for unknown in ("url", "pid"):
        with pytest.raises(EngineFailed, match="has not been started"):
            getattr(engine, unknown)


@pytest.mark.skipif(REDIS_SERVER is None, reason="needs Debian's redis-server (make tools)")
def test_debians_redis_works_with_the_same_launcher() -> None:
    with throwaway_valkey(server=Path(str(REDIS_SERVER))) as engine:
        engine.kill()
        engine.start()
        with Redis.from_url(engine.url) as client:
            assert client.ping()
