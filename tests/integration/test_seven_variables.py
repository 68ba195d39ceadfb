"""`grove serve` from nothing but what a hosting platform gives: seven variables and servers that are there."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from provisioning.grafana.steps import GRAFANA
from provisioning.grafana.versions import FIRST_PATCHED, read_version
from tests.support.grafana import Target
from tests.support.grafana_double import open_double
from tests.support.grove import SECRET_KEY, bearer, own_database
from tests.support.site import own_names

GROVE = Path(sys.executable).parent / "grove"
READY_TIMEOUT_S = 60


class Running(msgspec.Struct, frozen=True):
    """A server that is ready."""

    http: httpx.AsyncClient
    platform: dict[str, str]


@pytest.fixture(scope="module", params=["double", pytest.param("real", marks=pytest.mark.grafana)])
async def grafana(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    """A double of the release that infra/compose.yaml runs, and a real Grafana where there is one."""
    if request.param == "real":
        target: Target = request.getfixturevalue("the_real_grafana")
        async with own_names(target):
            yield target
        return
    async with open_double(version=".".join(str(part) for part in FIRST_PATCHED[12])) as double:
        yield Target(double.url, double.password, double)


@pytest.fixture(scope="module")
async def server(
    grafana: Target, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """A `grove serve` that was given seven variables, and one more for a Grafana that is too old."""
    async with own_database(postgres.url) as database_url:
        port = free_port("127.0.0.1")
        given = {
            "PORT": str(port),
            "DATABASE_URL": database_url,
            "REDIS_URL": valkey.url,
            "GRAFANA_URL": grafana.url,
            "GRAFANA_ADMIN_PASSWORD": grafana.password,
            "GROVE_SECRET_KEY": SECRET_KEY,
            "GROVE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        async with _serve(given | await _leave(grafana), tmp_path_factory.mktemp("grove")) as running:
            yield running


async def _leave(grafana: Target) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=grafana.url, trust_env=False) as http:
        version = read_version((await http.get("/api/health")).json()["version"])
    return {} if version.fault is None else {"GROVE_GRAFANA_ALLOW_VERSION": ".".join(map(str, version.parts))}


@asynccontextmanager
async def _serve(environ: dict[str, str], home: Path) -> AsyncIterator[Running]:
    log = home / "grove.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            GROVE, "serve",
            env=environ | {"PATH": "/usr/bin:/bin", "HOME": str(home)}, cwd=home, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=environ["GROVE_PUBLIC_URL"], timeout=60, trust_env=False) as http:
            await _await_ready(process, http)
            key = re.search(r"grv_p_\w+", log.read_text())
            assert key is not None
            yield Running(http, bearer(key[0]))
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0


async def _await_ready(process: asyncio.subprocess.Process, http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            assert process.returncode is None, "it ended; its grove.log says why"
            try:
                if (await http.get("/health/ready")).is_success:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


async def test_a_client_is_onboarded_with_its_grafana_and_its_login_page(server: Running, grafana: Target) -> None:
    wanted = {"id": "maple", "name": "Maple Dental", "branding": {"primaryColor": "#c2410c"}}
    made = await server.http.post("/api/v1/clients", json=wanted, headers=server.platform | {"Prefer": "wait=30"})
    assert made.status_code == 201, made.text

    operation = await server.http.get(f"/api/v1/operations/{made.json()['operationId']}", headers=server.platform)
    states = {step["name"]: step["state"] for step in operation.json()["steps"]}
    assert {step.name: states[step.name] for step in GRAFANA} == {step.name: "done" for step in GRAFANA}

    async with httpx.AsyncClient(base_url=grafana.url, auth=("admin", grafana.password), trust_env=False) as http:
        org = (await http.get("/api/orgs/name/maple")).json()["id"]
        headers = {"X-Grafana-Org-Id": str(org)}
        source = (await http.get("/api/datasources/uid/analytics/health", headers=headers)).json()
    assert source["status"] == "OK"

    page = await server.http.get("/maple/login", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "Maple Dental" in page.text


async def test_every_server_that_it_was_given_is_used(server: Running) -> None:
    dependencies = (await server.http.get("/health")).json()["dependencies"]

    assert {name: told["status"] for name, told in dependencies.items()} == {
        "database": "up",
        "redis": "up",
        "grafana": "up",
    }
