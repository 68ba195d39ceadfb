"""`grove serve` with a stand-in application: start, drain, crash, and being found again."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from app.bootstrap import BootstrapResult
from app.commands.administration import read_settings
from app.embedded.engines import find_running
from app.embedded.errors import EnginesInUse
from app.embedded.ports import free_port, is_free
from app.settings import Settings, to_environ
from app.supervisor import CannotListen, StartFailed, Supervisor
from tests.support.serve_standin import IDLE, TARGET, prepare_nothing

TIMEOUT_S = 20


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an embedded server on a free port."""
    return Settings(data_dir=tmp_path / "data", port=free_port(), drain_timeout_s=5)


def supervise(settings: Settings) -> Supervisor:
    """Build a supervisor of the stand-in."""
    return Supervisor(settings, quiet=True, web_target=TARGET, worker=IDLE, prepare=prepare_nothing)


class Server:
    """A `grove serve` with the stand-in, in a process of its own."""

    def __init__(self, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.serve_standin"],
            env={**inherited(), **to_environ(settings), **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: str | None = None

    def get(self, path: str) -> str:
        """Ask the application."""
        answer = httpx.get(f"http://127.0.0.1:{self.settings.port}{path}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.text

    def await_ready(self) -> None:
        """Wait until it answers."""
        await_that(lambda: self.answers() or self.process.poll() is not None)
        assert self.process.poll() is None

    def await_waiting(self, requests: int) -> None:
        """Wait until so many requests have been accepted that are not answered soon."""
        await_that(lambda: self.get("/waiting") == str(requests))

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            self.get("/health/ready")
        except httpx.HTTPError:
            return False
        return True

    def end(self, number: signal.Signals = signal.SIGTERM) -> str:
        """Send a signal, wait for the end and return all that was said."""
        self.process.send_signal(number)
        if self.said is None:
            self.said = self.process.communicate(timeout=TIMEOUT_S)[0]
        return self.said


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """A server that is ready."""
    started = Server(settings)
    try:
        started.await_ready()
        yield started
    finally:
        started.end()


def inherited() -> dict[str, str]:
    """Return the environment without settings."""
    return {key: text for key, text in os.environ.items() if not key.startswith("GROVE_")}  # noqa: TID251


def await_that(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def engine_pids(settings: Settings) -> tuple[str, str]:
    """Return the process ids of Postgres and Valkey."""
    lock = settings.data_dir / "postgres/data/postmaster.pid"
    return lock.read_text().splitlines()[0], (settings.data_dir / "valkey/pid").read_text().strip()


def test_a_library_user_gets_a_ready_server_and_the_first_key(settings: Settings) -> None:
    with supervise(settings) as running:
        assert running.url == f"http://127.0.0.1:{settings.port}"
        assert httpx.get(f"{running.url}/pid").status_code == 200
        assert running.platform_key == "grv_p_standin"
        urls = find_running(settings)
    assert urls is not None
    assert is_free(settings.port)
    assert find_running(settings) is None


def test_the_children_get_the_completed_settings_by_environment(settings: Settings) -> None:
    with supervise(settings) as running:
        environ = httpx.get(f"{running.url}/environ").json()
        assert to_environ(running.settings).items() <= environ.items()
    assert environ["DATABASE_URL"].startswith("postgresql://grove_admin:")
    assert environ["REDIS_URL"].startswith("redis://:")
    assert environ["GROVE_PUBLIC_URL"] == running.url


def test_port_0_takes_a_free_port(tmp_path: Path) -> None:
    with supervise(Settings(data_dir=tmp_path / "data", port=0)) as running:
        assert running.settings.port != 0
        assert httpx.get(f"{running.url}/health/ready").status_code == 200


def test_several_web_processes_share_port_and_metrics(settings: Settings) -> None:
    stale = settings.data_dir / "metrics" / "counter_1.db"
    stale.parent.mkdir(parents=True)
    stale.write_text("from the last run")
    settings = Settings(data_dir=settings.data_dir, port=settings.port, web_processes=2)
    with supervise(settings) as running:
        await_that(lambda: len({httpx.get(f"{running.url}/pid").text for _ in range(20)}) == 2)
        environ = httpx.get(f"{running.url}/environ").json()
    assert environ["PROMETHEUS_MULTIPROC_DIR"] == str(settings.data_dir / "metrics")
    assert not stale.exists()


def test_a_given_port_that_is_taken_is_said_before_anything_starts(settings: Settings) -> None:
    with (
        socket.create_server(("127.0.0.1", settings.port)),
        pytest.raises(CannotListen, match=rf"port {settings.port}: Address already in use"),
    ):
        supervise(settings).start()
    assert not settings.data_dir.exists()


def test_an_application_that_cannot_start_is_given_up_with_its_reason(settings: Settings) -> None:
    broken = Supervisor(
        settings,
        quiet=True,
        web_target="tests.support.standin:create_broken",
        worker=IDLE,
        prepare=prepare_nothing,
    )
    with pytest.raises(
        StartFailed, match=r"The web process died 3 times at start\. The reason is in (.*/grove\.log)\."
    ):
        broken.start()
    assert "this application cannot be built" in (settings.data_dir / "grove.log").read_text()
    assert find_running(settings) is None


def test_a_failed_preparation_reaches_the_caller_and_leaves_nothing_running(settings: Settings) -> None:
    async def fail(_settings: Settings) -> BootstrapResult:
        message = "the control plane is not ours"
        raise PermissionError(message)

    with pytest.raises(PermissionError, match="the control plane is not ours"):
        Supervisor(settings, quiet=True, web_target=TARGET, worker=IDLE, prepare=fail).start()
    assert find_running(settings) is None


def test_a_worker_that_keeps_dying_does_not_take_the_web_processes_along(settings: Settings, tmp_path: Path) -> None:
    deaths = tmp_path / "deaths"
    dying = ("-c", f"open({str(deaths)!r}, 'a').write('x'); raise SystemExit(3)")
    with Supervisor(settings, quiet=True, web_target=TARGET, worker=dying, prepare=prepare_nothing) as running:
        first = httpx.get(f"{running.url}/pid").text
        await_that(lambda: deaths.exists() and len(deaths.read_text()) > 2)
        assert httpx.get(f"{running.url}/pid").text == first


def test_a_second_server_on_the_same_data_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(EnginesInUse, match=rf"\(process {server.process.pid}\)"):
        supervise(Settings(data_dir=tmp_path / "data", port=0)).start()
    assert server.answers()


def test_sigterm_answers_what_was_accepted_and_ends_everything(server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(server.get, "/slow") for _ in range(8)]
        server.await_waiting(8)
        said = server.end()
        assert [answer.result() for answer in asked] == ["answered"] * 8
    assert server.process.returncode == 0
    assert said.count("grv_p_standin") == 1
    assert is_free(server.settings.port)
    assert find_running(server.settings) is None


def test_ctrl_c_ends_the_server_as_sigterm_does(server: Server) -> None:
    server.end(signal.SIGINT)
    assert server.process.returncode == 0


def test_a_second_signal_cuts_the_patience_short(server: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.get, "/stuck")
        server.await_waiting(1)
        server.process.terminate()
        await_that(lambda: is_free(server.settings.port))
        started = time.monotonic()
        server.end()
        assert time.monotonic() - started < server.settings.drain_timeout_s / 2
        with suppress(httpx.HTTPError):
            asked.result()
    assert server.process.returncode == 0


def test_a_request_that_never_ends_does_not_hold_the_stop_for_ever(server: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.get, "/stuck")
        server.await_waiting(1)
        server.end()
        with pytest.raises(httpx.HTTPError):
            asked.result()
    assert server.process.returncode == 0


def test_after_a_kill_the_next_start_adopts_the_engines(server: Server) -> None:
    before = engine_pids(server.settings)
    server.end(signal.SIGKILL)
    again = Server(server.settings)
    again.await_ready()
    assert engine_pids(server.settings) == before
    again.end()
    assert again.process.returncode == 0
    assert find_running(server.settings) is None


def test_web_and_worker_end_with_a_killed_supervisor(server: Server) -> None:
    web = int(server.get("/pid"))
    server.end(signal.SIGKILL)
    await_that(lambda: not Path(f"/proc/{web}/cwd").exists() and is_free(server.settings.port))
    supervise(server.settings).__enter__().stop()  # ends the engines too


def test_a_killed_web_server_is_replaced_with_all_its_processes(server: Server) -> None:
    web = int(server.get("/pid"))
    parent = re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{web}/status").read_text(), re.MULTILINE)
    assert parent is not None
    os.kill(int(parent[1]), signal.SIGKILL)
    await_that(lambda: not Path(f"/proc/{web}/cwd").exists())
    server.await_ready()
    assert int(server.get("/pid")) != web


def test_a_killed_postgres_is_back_at_once_on_the_same_port(server: Server) -> None:
    url = json.loads(server.get("/environ"))["DATABASE_URL"]
    os.kill(int(engine_pids(server.settings)[0]), signal.SIGKILL)
    killed_at = time.monotonic()

    def answers() -> bool:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            return False
        return True

    await_that(lambda: not answers())
    await_that(answers)
    assert time.monotonic() - killed_at < 5


def test_a_postgres_that_was_adopted_and_is_killed_comes_back_too(server: Server) -> None:
    server.end(signal.SIGKILL)
    with supervise(server.settings) as running:
        old = engine_pids(server.settings)[0]
        os.kill(int(old), signal.SIGKILL)
        await_that(lambda: find_running(server.settings) is not None and engine_pids(server.settings)[0] != old)
        psycopg.connect(str(running.settings.database_url)).close()


@pytest.mark.parametrize(("host", "port"), [("not.a.host.invalid", "0"), ("203.0.113.7", "8123")])
def test_the_command_says_in_one_line_that_its_host_is_none_of_this_machine(
    tmp_path: Path, host: str, port: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        env={**inherited(), "PORT": port, "GROVE_HOST": host, "GROVE_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"grove: Cannot listen on {host} port {port}: ")
    assert done.stderr.endswith("Set GROVE_HOST to an address of this machine (0.0.0.0 takes all).\n")


def test_commands_beside_a_server_know_the_address_that_it_has_got(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in [key for key in os.environ if key.startswith("GROVE_") or key in {"PORT", "DATABASE_URL"}]:  # noqa: TID251
        monkeypatch.delenv(key)
    monkeypatch.setenv("GROVE_DATA_DIR", str(server.settings.data_dir))
    assert read_settings().base_url == f"http://127.0.0.1:{server.settings.port}"


def test_the_command_says_in_one_line_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "app", "serve"],
            env={**inherited(), "PORT": str(port), "GROVE_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"grove: Cannot listen on 127.0.0.1 port {port}: Address already in use. "
        "Set PORT to another one (0 takes a free one).\n"
    )
