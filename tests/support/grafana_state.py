"""What a Grafana double remembers: organisations with what is in them, and users.

Used by `tests.support.grafana_double` and the modules beside it.
"""

from typing import Any

import msgspec

ADMIN = {"id": 1, "login": "admin", "email": "admin@localhost", "name": "", "orgId": 1}


class Org(msgspec.Struct):
    """An organisation and all that is in it."""

    id: int
    name: str
    members: dict[int, str] = {}
    datasources: dict[str, dict[str, Any]] = {}
    folders: dict[str, dict[str, Any]] = {}
    dashboards: dict[str, dict[str, Any]] = {}
    preferences: dict[str, Any] = {}

    @property
    def shown(self) -> dict[str, Any]:
        """The organisation as Grafana shows it."""
        address = dict.fromkeys(("address1", "address2", "city", "zipCode", "state", "country"), "")
        return {"id": self.id, "name": self.name, "address": address}


class State:
    """All organisations and users by number."""

    def __init__(self) -> None:
        self.lose_database()

    def lose_database(self) -> None:
        """Begin anew, as Grafana does on an empty database."""
        self.orgs = {1: Org(1, "Main Org.", members={1: "Admin"})}
        self.users: dict[int, dict[str, Any]] = {1: dict(ADMIN)}
        self._last = {"org": 1, "user": 1, "thing": 0}

    def next_id(self, kind: str) -> int:
        """Number a new thing."""
        self._last[kind] += 1
        return self._last[kind]

    def find_user(self, login: str) -> dict[str, Any] | None:
        """Find a user by login or address."""
        return next((user for user in self.users.values() if login in {user["login"], user["email"]}), None)
