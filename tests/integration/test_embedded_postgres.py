"""The embedded Postgres: real servers, started, killed, found again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from app.embedded.errors import EngineError, EngineFailed
from app.embedded.postgres import EmbeddedPostgres
from tests.support.engines import throwaway_postgres

PASSWORD = "p" * 32
DEBIAN = Path("/usr/lib/postgresql/15/bin")
HOST = "127.0.0.1"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A started Postgres whose folder lies below pytest's closed one."""
    started = EmbeddedPostgres(tmp_path / "postgres", PASSWORD)
    started.start()
    yield started
    started.stop()


def ask(engine: EmbeddedPostgres, question: str) -> object:
    """Return the one answer."""
    with psycopg.connect(engine.url) as connection:
        row = connection.execute(question.encode()).fetchone()
        return None if row is None else row[0]


def test_the_application_gets_a_database_in_utf8_with_logical_wal(engine: EmbeddedPostgres) -> None:
    settings = ("server_encoding", "wal_level", "data_checksums", "fsync", "max_connections", "timezone")
    with psycopg.connect(engine.url) as connection:
        told = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in settings]
        assert connection.info.dbname == "grove"
    assert told == [("UTF8",), ("logical",), ("on",), ("on",), ("200",), ("UTC",)]


def test_a_start_of_a_running_server_changes_nothing(engine: EmbeddedPostgres) -> None:
    before = engine.pid
    engine.start()
    assert engine.pid == before


def test_a_wrong_password_is_refused_on_loopback(engine: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(engine.url.replace(PASSWORD, "wrong"))


def test_the_socket_asks_for_the_password_too(engine: EmbeddedPostgres) -> None:
    port = engine.url.rpartition(":")[2].partition("/")[0]
    way = make_conninfo(
        host=str(engine.socket_dir), port=port, user="grove_admin", dbname="grove", passfile="/dev/null"
    )
    psycopg.connect(way, password=PASSWORD).close()
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(way)


def test_nobody_else_can_open_the_folders(engine: EmbeddedPostgres) -> None:
    for folder in (engine.folder, engine.data, engine.socket_dir):
        assert folder.stat().st_mode & 0o077 == 0


def test_it_never_runs_as_root(engine: EmbeddedPostgres) -> None:
    assert Path(f"/proc/{engine.pid}").stat().st_uid != 0


def test_only_loopback_is_listened_on(engine: EmbeddedPostgres) -> None:
    assert ask(engine, "SHOW listen_addresses") == HOST


def test_rows_of_failed_statements_stay_out_of_the_log(engine: EmbeddedPostgres) -> None:
    with psycopg.connect(engine.url) as connection, pytest.raises(psycopg.Error):
        connection.execute("SELECT 'visitor@example.com'::int")
    with psycopg.connect(engine.url) as connection:
        connection.execute("CREATE TABLE people (email text PRIMARY KEY)")
        connection.execute("INSERT INTO people VALUES ('lead@example.com')")
        with pytest.raises(psycopg.Error):
            connection.execute("INSERT INTO people VALUES ('lead@example.com')")
    written = (engine.folder / "postgres.log").read_text()
    assert "duplicate key" in written
    assert "lead@example.com" not in written
    assert "SELECT" not in written


def test_a_second_start_finds_the_data_and_the_port(engine: EmbeddedPostgres) -> None:
    with psycopg.connect(engine.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    url = engine.url
    engine.stop()
    assert not engine.running
    engine.start()
    assert engine.url == url
    assert ask(engine, "SELECT answer FROM kept") == 42


def test_another_port_is_taken_when_a_stranger_has_ours(engine: EmbeddedPostgres) -> None:
    url = engine.url
    engine.stop()
    with socket.create_server((HOST, int((engine.folder / "port").read_text()))):
        engine.start()
        assert engine.url != url
        assert ask(engine, "SELECT 1") == 1


def test_what_was_committed_survives_a_kill(engine: EmbeddedPostgres) -> None:
    with psycopg.connect(engine.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    url = engine.url
    engine.kill()
    assert not engine.running
    engine.start()
    assert engine.url == url
    assert ask(engine, "SELECT count(*) FROM kept") == 1000


def test_backends_that_outlive_the_postmaster_do_not_block_the_next_start(engine: EmbeddedPostgres) -> None:
    with psycopg.connect(engine.url) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # it cannot notice that its postmaster is dead
        engine.kill()
        engine.start()
        assert not Path(f"/proc/{backend}/cwd").exists()
    assert ask(engine, "SELECT 1") == 1


def test_a_running_server_is_adopted(engine: EmbeddedPostgres) -> None:
    adopter = EmbeddedPostgres(engine.folder, PASSWORD)
    adopter.start()
    assert (adopter.pid, adopter.url, adopter.socket_dir) == (engine.pid, engine.url, engine.socket_dir)
    adopter.stop()
    assert not engine.running


def test_a_server_on_its_way_out_is_awaited_and_replaced(engine: EmbeddedPostgres) -> None:
    old = engine.pid
    with psycopg.connect(engine.url) as connection:
        os.kill(old, signal.SIGTERM)  # waits for the connection to end, and lets nobody in
        adopter = EmbeddedPostgres(engine.folder, PASSWORD)
        with ThreadPoolExecutor(1) as pool:
            start = pool.submit(adopter.start)
            with pytest.raises(TimeoutError):
                start.result(timeout=0.2)
            connection.close()
            start.result()
    assert ask(adopter, "SELECT 1") == 1
    assert adopter.pid != old
    adopter.stop()


def test_an_adopted_server_that_is_killed_starts_again(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    leave_running(folder)
    adopter = EmbeddedPostgres(folder, PASSWORD)
    adopter.start()
    url = adopter.url
    adopter.kill()
    adopter.start()
    assert adopter.url == url
    assert ask(adopter, "SELECT 1") == 1
    adopter.stop()


def test_the_lock_of_a_process_that_is_now_a_stranger_is_ignored(engine: EmbeddedPostgres) -> None:
    engine.kill()
    lock = engine.data / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    engine.start()
    assert ask(engine, "SELECT 1") == 1


def test_the_lock_of_a_zombie_is_ignored(engine: EmbeddedPostgres) -> None:
    engine.kill()
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped
    lock = engine.data / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(zombie.pid), *lines[1:]]) + "\n")
    engine.start()
    assert ask(engine, "SELECT 1") == 1
    zombie.wait()


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    (folder / "draft").mkdir(parents=True)
    (folder / "draft" / "PG_VERSION").write_text("18")
    engine = EmbeddedPostgres(folder, PASSWORD, durable=False)
    engine.start()
    assert ask(engine, "SELECT 1") == 1
    engine.stop()


def test_a_very_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    engine = EmbeddedPostgres(tmp_path / ("deep" * 30) / "postgres", PASSWORD, durable=False)
    engine.start()
    assert ask(engine, "SELECT 1") == 1
    assert engine.folder not in engine.socket_dir.parents
    engine.stop()
    engine.socket_dir.rmdir()


def test_other_secrets_than_those_of_the_data_are_reported(engine: EmbeddedPostgres) -> None:
    with pytest.raises(EngineFailed, match=r"the password in secrets\.json is not the one"):
        EmbeddedPostgres(engine.folder, "another").start()


def test_a_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    engine = EmbeddedPostgres(tmp_path / "postgres", PASSWORD, durable=False, max_connections=0)
    with pytest.raises(EngineFailed, match=r"it ended at once\.\n.*outside the valid range"):
        engine.start()
    assert not engine.running


def test_a_folder_without_programs_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="there is no /none/postgres"):
        EmbeddedPostgres(tmp_path / "postgres", PASSWORD, bin_dir=Path("/none")).start()


def test_a_program_that_is_no_postgres_is_named(tmp_path: Path) -> None:
    (tmp_path / "postgres").symlink_to("/bin/echo")
    with pytest.raises(EngineFailed, match="is no Postgres"):
        EmbeddedPostgres(tmp_path / "data", PASSWORD, bin_dir=tmp_path).start()


def test_a_cluster_that_cannot_be_made_says_why_and_leaves_no_half_of_it(tmp_path: Path) -> None:
    programs = {"postgres": "echo 'postgres (PostgreSQL) 18.6'", "initdb": "echo 'no space left' >&2; exit 1"}
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    engine = EmbeddedPostgres(tmp_path / "pg", PASSWORD, bin_dir=tmp_path)
    with pytest.raises(EngineFailed, match="initdb failed: no space left"):
        engine.start()
    assert not engine.data.exists()


def test_a_cluster_of_another_version_is_not_touched(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EngineFailed, match=r"made by version 9, .* set GROVE_POSTGRES_BIN"):
        EmbeddedPostgres(tmp_path / "postgres", PASSWORD).start()
    assert (data / "PG_VERSION").read_text() == "9\n"


def test_nothing_is_known_before_the_first_start(tmp_path: Path) -> None:
    engine = EmbeddedPostgres(tmp_path, PASSWORD)
    assert not engine.running
    for unknown in ("url", "pid"):
        with pytest.raises(EngineFailed, match="has not been started"):
            getattr(engine, unknown)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"The data folder .*/file/postgres cannot be made"):
        EmbeddedPostgres(tmp_path / "file" / "postgres", PASSWORD).start()


@pytest.mark.skipif(not DEBIAN.exists(), reason="needs Debian's postgresql-15 (make tools)")
def test_debians_postgres_15_works_with_the_same_launcher() -> None:
    with throwaway_postgres(bin_dir=DEBIAN) as engine:
        assert str(ask(engine, "SHOW server_version")).startswith("15.")
        engine.kill()
        engine.start()
        assert ask(engine, "SELECT 1") == 1


def leave_running(folder: Path) -> None:
    """Start a server from a process that ends and leaves it behind."""
    program = (
        "import os, sys; from pathlib import Path; from app.embedded.postgres import EmbeddedPostgres; "
        "EmbeddedPostgres(Path(sys.argv[1]), sys.argv[2]).start(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(folder), PASSWORD], check=True)
