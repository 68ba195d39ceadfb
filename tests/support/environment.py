"""The environment of a server, for tests of what is made from it."""

from typing import Any

from app.settings import Settings, to_environ


def every_setting() -> dict[str, str]:
    """Return an environment in which every single setting is given, if only by its name."""
    given: dict[str, Any] = {name: name for name in Settings.__struct_fields__ if name != "client_databases"}
    return to_environ(Settings(**given))
