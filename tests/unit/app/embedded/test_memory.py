"""Postgres' share of the memory fits the machine, and the container."""

from pathlib import Path

import pytest

from app.embedded.memory import memory_mb
from app.embedded.postgres import size_buffers


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("104857600\n")
    assert memory_mb(limit) == 100


@pytest.mark.parametrize("said", ["max\n", ""])
def test_without_a_limit_the_machines_memory_counts(tmp_path: Path, said: str) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(said)
    assert memory_mb(limit) == memory_mb(tmp_path / "none") > 100


@pytest.mark.parametrize(("memory", "buffers"), [(512, 128), (8_192, 512), (262_144, 2_048)])
def test_postgres_shares_a_sixteenth_within_bounds(memory: int, buffers: int) -> None:
    assert size_buffers(memory) == buffers
