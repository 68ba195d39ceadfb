"""A stand-in for Grafana that answers as the recorded exchanges say, with orgs, users, dashboards and real SQL.

`async with open_double() as double:`; what it can be made to do wrong is `double.fail(…)`, `double.down` and
`double.lose_database()`. Its datasources connect to Postgres with the login that they were given.
"""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.support import grafana_board_routes  # noqa: F401 - lists its routes
from tests.support.grafana_routes import ROUTES
from tests.support.grafana_shapes import denied, may, page
from tests.support.grafana_state import Org, State
from tests.support.loopback import Answer, Call, serve

VERSION = "9.4.0-pre"
PASSWORD = "admin-password"
# What it may say in its own words: names of others that nobody may read.
WORDS = "bad request data: organisation 7 of Birch, db-3.internal"


class Fault(msgspec.Struct):
    """What goes wrong with a request. `how`: `500`, `400` (in its words), `cut` (no answer), `hang` (for long)."""

    method: str
    path: re.Pattern[str]
    how: str
    after: bool
    left: int


class GrafanaDouble(State):
    """The state and the answers."""

    def __init__(self, version: str = VERSION) -> None:
        super().__init__()
        self.url = ""
        self.password = PASSWORD
        self.version = version
        self.down = False
        self.calls: list[str] = []
        self._faults: list[Fault] = []

    def fail(self, method: str, path: str, *, how: str = "500", after: bool = False, times: int = 1) -> None:
        """Let the next such requests fail, before or after the work is done."""
        self._faults.append(Fault(method, re.compile(path), how, after, times))

    @property
    def faults_left(self) -> int:
        """How many failures that were asked for have not happened yet; they are forgotten."""
        left = sum(fault.left for fault in self._faults)
        self._faults.clear()
        return left

    async def answer(self, call: Call) -> Answer | None:
        """Answer a request, or cut the connection."""
        self.calls.append(f"{call.method} {call.path}")
        if self.down:
            return None
        fault = next((f for f in self._faults if f.left and f.method == call.method and f.path.search(call.path)), None)
        if fault is None:
            return await self._work(call)
        fault.left -= 1
        if fault.after:
            await self._work(call)
        if fault.how == "hang":
            await asyncio.sleep(3600)
        if fault.how == "400":
            return Answer(400, {"message": WORDS, "traceID": ""})
        return None if fault.how == "cut" else Answer(500, {"message": "Internal Server Error", "traceID": ""})

    async def _work(self, call: Call) -> Answer:
        if call.path == "/api/health":
            return Answer(200, {"commit": "NA", "database": "ok", "version": self.version})
        if call.path == "/login":
            return Answer(200, page=page(""))
        user = self._user(call)
        if isinstance(user, Answer):
            return user
        if not call.path.startswith("/api/"):
            return Answer(200, page=page(str(user["login"])))
        return await self._act(call, user)

    async def _act(self, call: Call, user: dict[str, Any]) -> Answer:
        org = self._org(call, user)
        if isinstance(org, Answer):
            return org
        for method, pattern, needs, handler in ROUTES:
            match = pattern.fullmatch(call.path)
            if method == call.method and match is not None:
                allowed = may(user, org, needs)
                return await handler(self, call, org, user, *match.groups()) if allowed else denied(needs)
        return Answer(404, {"message": "Not found"})

    def _user(self, call: Call) -> dict[str, Any] | Answer:
        given = call.headers.get("authorization", "")
        if given.startswith("Basic "):
            if base64.b64decode(given[6:]).decode() != f"admin:{self.password}":
                return Answer(401, {"message": "invalid username or password", "traceID": ""})
            return self.users[1]
        login = call.headers.get("x-webauth-user")
        if login is not None:
            found = next((user for user in self.users.values() if user["login"] == login), None)
            return found or Answer(407, page=page(""))
        if call.path.startswith("/api/"):
            return Answer(401, {"message": "Unauthorized"})
        return Answer(302, page='<a href="/login">Found</a>.\n\n', headers={"location": "/login"})

    def _org(self, call: Call, user: dict[str, Any]) -> Org | Answer:
        wanted = int(call.headers.get("x-grafana-org-id") or call.query.get("orgId") or user["orgId"])
        org = self.orgs.get(wanted)
        if org is None and user["id"] == 1 and "x-grafana-org-id" not in call.headers:
            org = self.orgs[1]
        return org or Answer(404, {"message": "Organization not found", "traceID": ""})


@asynccontextmanager
async def open_double(**options: Any) -> AsyncIterator[GrafanaDouble]:
    """Serve a double on loopback."""
    double = GrafanaDouble(**options)
    async with serve(double.answer) as url:
        double.url = url
        yield double
