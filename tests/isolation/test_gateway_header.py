"""A real Grafana that is told who asks by a header whose name nobody can guess."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import httpx
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grafana import Target, missing_reason, started_grafana
from tests.support.site import Site, open_site

HEADER = f"X-Grove-{secrets.token_hex(8)}"
NAMES = (HEADER, HEADER.lower(), HEADER.upper(), HEADER.replace("-", "_"), "X-WEBAUTH-USER", "x-webauth-user")
USERS = ("admin", "oak:ed@oak.example", "maple:ed@maple.example")
PATHS = ("/api/dashboards/uid/user-events", "/api/search", "/api/user/preferences")
pytestmark = [
    pytest.mark.grafana,
    pytest.mark.skipif(missing_reason() is not None, reason=str(missing_reason())),
]


@pytest.fixture(scope="module")
def grafana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A Grafana of this test's own."""
    with started_grafana(tmp_path_factory.mktemp("grafana"), {"GF_AUTH_PROXY_HEADER_NAME": HEADER}) as target:
        yield target


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedPostgres, grafana: Target) -> AsyncIterator[Site]:
    """A server that knows the name."""
    async with open_site(postgres.url, grafana, grafana_header=HEADER) as running:
        yield running


async def test_grafana_listens_to_that_name_alone(site: Site, grafana: Target) -> None:
    viewer = f"{site.maple.id}:{site.maple.viewer}"
    async with httpx.AsyncClient(base_url=grafana.url, trust_env=False) as http:
        for name, status in ((HEADER, 200), ("X-WEBAUTH-USER", 401), (HEADER.replace("-", "_"), 401)):
            assert (await http.get("/api/search", headers={name: viewer})).status_code == status, name


async def test_staff_reach_their_grafana_by_it(site: Site) -> None:
    async with aclosing(await site.log_in(site.maple)) as http:
        boards = (await http.get("/maple/grafana/api/search")).json()
        assert {"user-events", "conversations"} <= {board["uid"] for board in boards}
        panel = {"refId": "A", "datasource": {"uid": "analytics"}, "format": "table"}
        body = {"from": "now-1h", "to": "now", "queries": [panel | {"rawSql": 'SELECT count(*) FROM "UserEvents"'}]}
        answer = await http.post("/maple/grafana/api/ds/query", json=body)
        assert answer.json()["results"]["A"]["frames"][0]["data"]["values"] == [[site.maple.sessions]]


async def test_whoever_sends_it_to_the_gateway_is_nobody_else_for_it(site: Site) -> None:
    spoofs = [{name: user} for name in NAMES for user in USERS]
    spoofs += [spoof | {"Connection": next(iter(spoof))} for spoof in spoofs[::3]]
    async with aclosing(await site.log_in(site.maple)) as http, site.open() as stranger:
        stranger.headers = http.headers
        for path in PATHS:
            plain = (await http.get(f"/maple/grafana{path}")).json()
            for spoof in spoofs:
                assert (await http.get(f"/maple/grafana{path}", headers=spoof)).json() == plain, spoof
                assert (await stranger.get(f"/maple/grafana{path}", headers=spoof)).status_code == 401, spoof
        saved = {"dashboard": {"title": "Mine", "panels": []}, "overwrite": False}
        for spoof in spoofs:
            answer = await http.post("/maple/grafana/api/dashboards/db", json=saved, headers=spoof)
            assert answer.status_code == 404, spoof  # a viewer is not let through, whoever it claims to be
