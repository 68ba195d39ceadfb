"""The platform's own organisation in Grafana: there from the start, made again when it is lost, and nobody else's."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.bootstrap import bootstrap
from app.embedded.postgres import EmbeddedPostgres
from app.workers.grafana import reconcile_grafana
from app.workers.queue import JobQueue
from app.workers.resources import WorkerResources, open_worker_resources
from provisioning.grafana.client import GrafanaAdmin
from provisioning.grafana.organisations import MAIN_ORG, PLATFORM
from provisioning.grafana.platform import ensure_platform
from tenants.errors import OrganisationRefused
from tests.support.grafana import ALLOWED, Target
from tests.support.grafana_double import PASSWORD
from tests.support.grove import Grove, open_grove

BOARD = "/api/dashboards/uid/service-health"
DATASOURCE = "/api/datasources/uid/analytics"


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, grafana: Target) -> AsyncIterator[Grove]:
    named = {"grafana_url": grafana.url, "grafana_admin_password": PASSWORD, "grafana_allow_version": ALLOWED}
    async with open_grove(postgres.url, **named) as opened, opened.worker():
        yield opened


@pytest.fixture
async def resources(grove: Grove) -> AsyncIterator[WorkerResources]:
    async with open_worker_resources(grove.settings) as opened:
        yield opened


@pytest.fixture
async def admin(resources: WorkerResources) -> GrafanaAdmin:
    assert resources.runner.means.grafana is not None
    return resources.runner.means.grafana


async def org_of(admin: GrafanaAdmin) -> int:
    return int((await admin.get("/api/orgs/name/Grove%20platform"))["id"])


async def test_a_started_grove_has_an_organisation_that_reads_the_control_plane(
    grove: Grove, resources: WorkerResources, admin: GrafanaAdmin
) -> None:
    await grove.make_client("maple")
    org = await org_of(admin)
    assert org != MAIN_ORG
    assert (await admin.get(DATASOURCE, org=org))["user"] == "grove_platform_reader"
    assert (await admin.get("/api/org/preferences", org=org))["homeDashboardUID"] == "service-health"
    found = await admin.get(BOARD, org=org)
    (panel,) = [panel for panel in found["dashboard"]["panels"] if panel["title"] == "Clients"]
    query = panel["targets"][0] | {"refId": "A", "intervalMs": 60000, "maxDataPoints": 100}
    body = {"from": "now-1h", "to": "now", "queries": [query | {"datasource": {"uid": "analytics"}}]}
    answer = await admin.create("/api/ds/query", body, org=org)
    assert ["maple"] in answer["results"]["A"]["frames"][0]["data"]["values"]
    assert await ensure_platform(resources.runner.means) == []


async def test_what_was_changed_or_lost_is_told_by_a_rehearsal_and_mended_by_the_daily_job(
    grove: Grove, resources: WorkerResources, admin: GrafanaAdmin
) -> None:
    means, org = resources.runner.means, await org_of(admin)
    model = (await admin.get(BOARD, org=org))["dashboard"] | {"title": "Somebody's idea"}
    await admin.create("/api/dashboards/db", {"dashboard": model, "overwrite": True}, org=org)
    own = {"dashboard": {"uid": "own", "title": "Own", "panels": []}, "overwrite": False}
    await admin.create("/api/dashboards/db", own, org=org)
    told = [(change.action, change.kind) for change in await ensure_platform(means, rehearse=True)]
    assert told == [("change", "dashboard")]
    assert (await admin.get(BOARD, org=org))["dashboard"]["title"] == "Somebody's idea"

    await mend(grove, resources)
    assert (await admin.get(BOARD, org=org))["dashboard"]["title"] == "Service health"
    assert await admin.get("/api/dashboards/uid/own", org=org)

    await admin.delete(f"/api/orgs/{org}")
    assert [change.kind for change in await ensure_platform(means, rehearse=True)] == ["organisation"]
    assert await admin.find("/api/orgs/name/Grove%20platform") is None
    await mend(grove, resources)
    assert await ensure_platform(means) == []
    assert (await admin.get(f"{DATASOURCE}/health", org=await org_of(admin)))["status"] == "OK"


async def test_a_password_that_somebody_changed_is_set_again(
    grove: Grove, resources: WorkerResources, admin: GrafanaAdmin
) -> None:
    org = await org_of(admin)
    found = await admin.get(DATASOURCE, org=org)
    await admin.put(DATASOURCE, found | {"secureJsonData": {"password": "another"}}, org=org)
    await mend(grove, resources)
    assert (await admin.get(f"{DATASOURCE}/health", org=org))["status"] == "OK"


async def mend(grove: Grove, resources: WorkerResources) -> None:
    jobs = JobQueue(grove.settings.main_url)
    await reconcile_grafana(resources, jobs)
    await jobs.close()


async def test_no_client_takes_it_over(grove: Grove, admin: GrafanaAdmin) -> None:
    wanted = {"id": "oak", "name": "Oak", "grafanaOrgId": await org_of(admin)}
    answer = await grove.http.post("/api/v1/clients", json=wanted, headers=grove.platform | {"Prefer": "wait=30"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "/grafanaOrgId")


@pytest.mark.parametrize("whose", ["another Grove's", "strangers'"])
async def test_an_organisation_of_its_name_that_is_not_ours_is_left_alone_and_stops_no_start(
    grove: Grove, resources: WorkerResources, admin: GrafanaAdmin, whose: str
) -> None:
    org, user = await org_of(admin), None
    if whose == "another Grove's":
        found = await admin.get(DATASOURCE, org=org)
        await admin.put(DATASOURCE, found | {"jsonData": found["jsonData"] | {"groveMark": "another"}}, org=org)
    else:
        await admin.delete(DATASOURCE, org=org)
        user = await make_stranger(admin, org)

    with pytest.raises(OrganisationRefused, match=PLATFORM):
        await ensure_platform(resources.runner.means)
    assert (await bootstrap(grove.settings)).clients

    if user is not None:
        await admin.delete(f"/api/admin/users/{user}")
    await admin.delete(f"/api/orgs/{org}")
    await ensure_platform(resources.runner.means)


async def make_stranger(admin: GrafanaAdmin, org: int) -> int:
    named: dict[str, Any] = {"name": "S", "login": "stranger-here", "email": "stranger@here.example"}
    made = await admin.create("/api/admin/users", named | {"password": "long-random", "OrgId": org})
    return int(made["id"])
