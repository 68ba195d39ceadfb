"""A client's Grafana is looked after over the API, by the command line, by the daily job, and from the start."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.bootstrap import bootstrap
from app.embedded.postgres import EmbeddedPostgres
from app.settings import to_environ
from app.workers.grafana import reconcile_grafana, rotate_passwords
from app.workers.queue import JobQueue
from app.workers.resources import open_worker_resources
from tenants.errors import GrafanaUnfit
from tests.support.grafana import ALLOWED
from tests.support.grafana_double import PASSWORD, GrafanaDouble, open_double
from tests.support.grafana_state import Org
from tests.support.grove import Grove, MadeClient, grove_settings, open_grove, own_database
from tests.support.provisioner import fetch


@pytest.fixture(scope="module")
async def double() -> AsyncIterator[GrafanaDouble]:
    async with open_double() as opened:
        yield opened


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, double: GrafanaDouble) -> AsyncIterator[Grove]:
    named = {"grafana_url": double.url, "grafana_admin_password": PASSWORD, "grafana_allow_version": ALLOWED}
    async with open_grove(postgres.url, **named) as opened, opened.worker():
        yield opened


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    return await grove.make_client("maple", staff=[{"email": "ana@maple.example", "role": "viewer"}])


def org_of(double: GrafanaDouble, client_id: str) -> Org:
    (found,) = [org for org in double.orgs.values() if org.name == client_id]
    return found


async def settle(grove: Grove, client_id: str) -> list[dict[str, Any]]:
    """Wait until nothing is left to be done for a client, and return what was done."""
    for _ in range(200):
        rows = await fetch(
            grove.settings.main_url, "SELECT kind, state, result FROM grove.operations WHERE client_id = $1", client_id
        )
        if all(row["state"] in {"succeeded", "failed"} for row in rows):
            return [dict(row) for row in rows]
        await asyncio.sleep(0.05)
    pytest.fail("it never settled")


async def test_a_reconciliation_over_the_api_tells_what_it_mended(
    grove: Grove, double: GrafanaDouble, maple: MadeClient
) -> None:
    org_of(double, "maple").dashboards.pop("user-events")
    answer = await grove.http.post(f"{maple.path}/grafana/reconcile", headers=grove.platform | {"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    (change,) = answer.json()["result"]["changes"]
    assert (change["action"], change["kind"], change["name"]) == ("create", "dashboard", "user-events")
    refused = await grove.http.post(f"{maple.path}/grafana/reconcile", headers=maple.admin)
    assert refused.status_code == 403


async def test_a_changed_brand_zone_or_choice_of_dashboards_reaches_grafana(
    grove: Grove, double: GrafanaDouble, maple: MadeClient
) -> None:
    before = json.dumps(org_of(double, "maple").dashboards["user-events"]["model"])
    answer = await grove.http.patch(
        maple.path, json={"branding": {"primaryColor": "#0f766e"}, "timezone": "Asia/Tokyo"}, headers=grove.platform
    )
    assert answer.status_code == 200
    await settle(grove, "maple")
    after = json.dumps(org_of(double, "maple").dashboards["user-events"]["model"])
    assert "#0f766e" not in before
    assert "#0f766e" in after
    assert "Asia/Tokyo" in after


async def test_the_daily_job_orders_repairs_where_something_differs_and_nowhere_else(
    grove: Grove, double: GrafanaDouble, maple: MadeClient
) -> None:
    jobs = JobQueue(grove.settings.main_url)
    async with open_worker_resources(grove.settings) as resources:
        assert await reconcile_grafana(resources, jobs) == 0
        org_of(double, maple.id).preferences = {}
        assert await reconcile_grafana(resources, jobs) == 1
        await settle(grove, maple.id)
        assert org_of(double, maple.id).preferences["homeDashboardUID"] == "user-events"
        assert await reconcile_grafana(resources, jobs) == 0
        password = org_of(double, maple.id).datasources["analytics"]["secureJsonData"]["password"]
        assert await rotate_passwords(resources, jobs) == 1
        await settle(grove, maple.id)
        assert org_of(double, maple.id).datasources["analytics"]["secureJsonData"]["password"] != password
    await jobs.close()


async def run_command(grove: Grove, *words: str) -> tuple[int, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", *words, "--json", env=to_environ(grove.settings), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode or 0, json.loads(said) if said else None


async def test_the_command_rehearses_repairs_and_rolls_templates(
    grove: Grove, double: GrafanaDouble, maple: MadeClient
) -> None:
    org_of(double, maple.id).dashboards.pop("user-events")
    status, told = await run_command(grove, "grafana", "reconcile", "maple", "--dry-run")
    assert (status, [change["name"] for change in told[0]["changes"]]) == (1, ["user-events"])
    assert "user-events" not in org_of(double, maple.id).dashboards
    status, told = await run_command(grove, "grafana", "reconcile", "--all")
    assert (status, told[0]["client_id"], told[0]["error"]) == (0, "maple", None)
    assert "user-events" in org_of(double, maple.id).dashboards
    for words in (["--canary", "1"], ["--all"], ["--rollback", "1"]):
        status, told = await run_command(grove, "grafana", "upgrade", *words)
        assert (status, [outcome["error"] for outcome in told]) == (0, [None])
    status, _ = await run_command(grove, "grafana", "upgrade", "--rollback", "999")
    assert status == 2


async def test_a_version_that_should_not_be_used_is_refused_at_the_start_unless_it_is_named(
    postgres: EmbeddedPostgres, double: GrafanaDouble
) -> None:
    named = {"grafana_url": double.url, "grafana_admin_password": PASSWORD}
    async with own_database(postgres.url) as url:
        with pytest.raises(GrafanaUnfit, match=r"9\.4\.0-pre is not supported.*GROVE_GRAFANA_ALLOW_VERSION"):
            await bootstrap(grove_settings(url, **named))
        assert (await bootstrap(grove_settings(url, **named, grafana_allow_version=ALLOWED))).platform_key
        assert (await bootstrap(grove_settings(url, **(named | {"grafana_url": "http://127.0.0.1:1"})))).clients
