"""Where the programs of the wheels are."""

import pytest

from app.embedded.cluster import wheel_programs
from app.embedded.errors import EngineFailed
from app.embedded.valkey import wheel_program
from app.embedded.wheels import wheel_folder


def test_both_wheels_bring_their_servers() -> None:
    assert (wheel_programs() / "postgres").is_file()
    assert wheel_program().is_file()


def test_a_wheel_that_is_not_installed_is_named() -> None:
    with pytest.raises(EngineFailed, match="its wheel no_such_wheel is not installed"):
        wheel_folder("no_such_wheel", "Postgres")
