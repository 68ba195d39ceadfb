"""Where sockets are put."""

import os
from pathlib import Path

import pytest

from app.embedded.errors import EngineError
from app.embedded.sockets import ensure_socket_folder, find_socket_folder


def test_a_socket_lies_beside_the_data_where_its_path_is_short_enough(tmp_path: Path) -> None:
    assert find_socket_folder(tmp_path, "s") == tmp_path / "socket"


def test_a_socket_of_a_deep_folder_gets_a_short_path_that_is_closed_to_others(tmp_path: Path) -> None:
    short = find_socket_folder(tmp_path / ("d" * 100), ".s.PGSQL.65535")
    ensure_socket_folder(short, None)
    assert len(os.fsencode(short / ".s.PGSQL.65535")) <= 107
    assert short.stat().st_mode & 0o777 == 0o700
    short.rmdir()


def test_a_short_path_that_somebody_else_prepared_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("e" * 100)
    short = find_socket_folder(deep, ".s.PGSQL.65535")
    short.symlink_to(tmp_path)
    try:
        with pytest.raises(EngineError, match="belongs to somebody else"):
            ensure_socket_folder(short, None)
    finally:
        short.unlink()
