"""Every recorded exchange with Grafana, replayed: double and real one answer with the recorded status and keys."""

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.registry import with_database
from tests.support.grafana import Target
from tests.support.provisioner import execute

EXCHANGES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "exchanges-9.4.json").read_text())["exchanges"]
# A password that was recorded, and is somebody's here too.
DATABASE_LOGINS = {"maple_ro": "ro1", "birch_ro": "ro2"}
# Where a recorded number of an organisation or user stands in a request.
NEW_ORG, NEW_USER = ("POST", "/api/orgs"), ("POST", "/api/admin/users")
ABSENT = 9999


class Replay:
    """One run of all exchanges, with names of its own and the numbers that this Grafana gives."""

    def __init__(self, target: Target, database: str) -> None:
        self.target = target
        self.mark = secrets.token_hex(3)
        self.database = database
        self.orgs: dict[int, int] = {1: 1, ABSENT: ABSENT}
        self.users: dict[int, int] = {1: 1}

    async def send(self, http: httpx.AsyncClient, exchange: dict[str, Any]) -> httpx.Response:
        """Send a request as recorded, under this run's names and numbers."""
        request = exchange["request"]
        body = None if request["json"] is None else json.loads(self._rename(json.dumps(request["json"])))
        if isinstance(body, dict) and "OrgId" in body:
            body["OrgId"] = self.orgs[body["OrgId"]]
        headers = {name: self._rename(text) for name, text in request["headers"].items()}
        if "X-Grafana-Org-Id" in headers:
            headers["X-Grafana-Org-Id"] = str(self.orgs[int(headers["X-Grafana-Org-Id"])])
        auth = None
        if request["auth"] is not None:
            password = "wrong" if exchange["label"] == "bad admin password" else self.target.password
            auth = httpx.BasicAuth("admin", password)
        answer = await http.request(
            request["method"],
            self._path(request["path"]),
            headers=headers,
            json=body,
            auth=auth or httpx.USE_CLIENT_DEFAULT,
        )
        self._learn(exchange, answer)
        return answer

    def _path(self, path: str) -> str:
        parts = self._rename(path).split("/")
        numbers = {"orgs": self.orgs, "users": self.users, "using": self.orgs}
        for at in range(1, len(parts)):
            if parts[at].isdigit() and parts[at - 1] in numbers:
                parts[at] = str(numbers[parts[at - 1]][int(parts[at])])
        return "/".join(parts)

    def _rename(self, text: str) -> str:
        for name in ("Maple", "Birch"):
            text = text.replace(name, f"{name}{self.mark}").replace(f"{name.lower()}:", f"{name.lower()}{self.mark}:")
            text = text.replace(f"@{name.lower()}.", f"@{name.lower()}{self.mark}.")
        return text.replace("127.0.0.1:15432", self.database)

    def _learn(self, exchange: dict[str, Any], answer: httpx.Response) -> None:
        asked = (exchange["request"]["method"], exchange["request"]["path"])
        recorded = exchange["response"]["body"]
        if asked == NEW_ORG and answer.status_code == 200:
            self.orgs[recorded["orgId"]] = answer.json()["orgId"]
        if asked == NEW_USER and answer.status_code == 200:
            self.users[recorded["id"]] = answer.json()["id"]


@pytest.fixture(scope="module")
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The database of the recording: two clients with a schema and a login each."""
    url = with_database(postgres.url, "postgres")
    for login, password in DATABASE_LOGINS.items():
        schema = f"t_{login.partition('_')[0]}"
        await execute(
            url,
            f'CREATE SCHEMA {schema}; CREATE TABLE {schema}."UserEvents" ("pageLoaded" timestamptz);'
            f"CREATE ROLE {login} LOGIN PASSWORD '{password}'; GRANT USAGE ON SCHEMA {schema} TO {login};"
            f'GRANT SELECT ON {schema}."UserEvents" TO {login}; ALTER ROLE {login} SET search_path = {schema};'
            f"ALTER ROLE {login} SET default_transaction_read_only = on;"
            f"GRANT CONNECT ON DATABASE postgres TO {login}",
        )
    yield urlsplit(postgres.url).netloc.rpartition("@")[2]
    for login in DATABASE_LOGINS:
        schema = f"t_{login.partition('_')[0]}"
        await execute(url, f"DROP SCHEMA {schema} CASCADE; DROP OWNED BY {login}; DROP ROLE {login}")


async def test_every_recorded_exchange_is_answered_with_the_recorded_status_and_keys(
    grafana: Target, database: str
) -> None:
    replay = Replay(grafana, database)
    differing: list[tuple[Any, ...]] = []
    async with httpx.AsyncClient(base_url=grafana.url, trust_env=False, timeout=30) as http:
        for exchange in EXCHANGES:
            # A browser's session of one answer must not speak for the next request.
            http.cookies.clear()
            answer = await replay.send(http, exchange)
            wanted = exchange["response"]
            if answer.status_code != wanted["status"]:
                differing.append((exchange["label"], wanted["status"], answer.status_code, answer.text[:200]))
            elif isinstance(wanted["body"], dict | list):
                lacking = _shape(wanted["body"]) ^ _shape(_read(answer))
                if lacking:
                    differing.append((exchange["label"], sorted(lacking)))
        await _clean_up(http, replay)
    assert not differing, differing
    assert len(EXCHANGES) == 74


def _read(answer: httpx.Response) -> Any:
    return msgspec.json.decode(answer.content)


def _shape(body: Any) -> set[str]:
    """List the keys of an answer; a list has those of its first row."""
    row = body[0] if isinstance(body, list) and body else body
    return set(row) if isinstance(row, dict) else set()


async def _clean_up(http: httpx.AsyncClient, replay: Replay) -> None:
    auth = httpx.BasicAuth("admin", replay.target.password)
    for user_id in set(replay.users.values()) - {1}:
        await http.delete(f"/api/admin/users/{user_id}", auth=auth)
    for org_id in set(replay.orgs.values()) - {1, ABSENT}:
        await http.delete(f"/api/orgs/{org_id}", auth=auth)
