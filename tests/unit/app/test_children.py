"""What a child process inherits."""

from app.children import inherit_environ
from tests.support.environment import every_setting


def test_a_child_inherits_the_machine_and_gets_its_settings_from_us_alone() -> None:
    inherited = {"PATH": "/bin", "TZ": "UTC", "MAPLE_DB_URL": "theirs", **every_setting()}
    assert inherit_environ(inherited, {"PORT": "2"}) == {"PATH": "/bin", "TZ": "UTC", "PORT": "2"}
