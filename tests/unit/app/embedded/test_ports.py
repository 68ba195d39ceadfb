"""Which port an engine takes."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded.ports import candidate_ports, find_obstacle, free_port, is_free, remembered_number


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_port_of_last_time_comes_first(tmp_path: Path) -> None:
    (tmp_path / "port").write_text(f"{(port := free_port())}\n")
    assert next(candidate_ports(tmp_path / "port", free_port())) == port


def test_a_hint_is_taken_when_nothing_is_remembered(tmp_path: Path) -> None:
    assert next(candidate_ports(tmp_path / "port", port := free_port())) == port


def test_a_taken_port_gives_way_to_another(tmp_path: Path, taken: int) -> None:
    (tmp_path / "port").write_text(str(taken))
    candidates = list(candidate_ports(tmp_path / "port", None))
    assert taken not in candidates
    assert all(is_free(port) for port in candidates)


def test_an_unreadable_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("port?")
    assert remembered_number(tmp_path / "port") is None


def test_the_obstacle_tells_why_nobody_can_listen(taken: int) -> None:
    obstacle = find_obstacle(taken, "127.0.0.1")
    assert obstacle is not None
    assert obstacle.strerror == "Address already in use"


def test_ipv6_addresses_are_understood() -> None:
    assert find_obstacle(0, "::1") is None
