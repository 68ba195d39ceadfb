"""The secrets of an embedded server."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.embedded.errors import EngineError
from app.embedded.secrets import Secrets, ensure_secrets, has_secrets


def test_secrets_are_made_once_and_read_afterwards(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path / "new" / "data", Secrets)
    assert ensure_secrets(tmp_path / "new" / "data", Secrets) == first
    assert has_secrets(tmp_path / "new" / "data")


def test_every_secret_is_long_and_no_two_are_alike(tmp_path: Path) -> None:
    made = ensure_secrets(tmp_path, Secrets)
    values = {made.secret_key, made.postgres_password, made.valkey_password}
    assert len(values) == 3
    assert all(len(value) >= 43 for value in values)


def test_nobody_else_can_read_the_secrets(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, Secrets)
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_processes_that_come_at_once_get_the_same_secrets(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: ensure_secrets(tmp_path, Secrets), range(32)))
    assert len(made) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


def test_broken_secrets_are_reported_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("{}")
    with pytest.raises(EngineError, match=r"secrets\.json, cannot be read"):
        ensure_secrets(tmp_path, Secrets)
    assert path.read_text() == "{}"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="cannot be written: Not a directory"):
        ensure_secrets(tmp_path / "file" / "data", Secrets)
