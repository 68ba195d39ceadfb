"""A client's Grafana is looked after over the API, by the command line, by the daily job, and from the start."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import bootstrap
from app.embedded.postgres import EmbeddedPostgres
from app.settings import to_environ
from app.workers.grafana import reconcile_grafana, rotate_passwords
from app.workers.queue import JobQueue
from app.workers.resources import open_worker_resources
from provisioning.grafana.organisations import PLATFORM
from provisioning.templates import shipped_templates
from tenants.errors import GrafanaUnfit
from tests.support.grafana import ALLOWED
from tests.support.grafana_double import PASSWORD, WORDS, GrafanaDouble
from tests.support.grafana_state import Org
from tests.support.grove import Grove, MadeClient, grove_settings, open_grove, own_database
from tests.support.provisioner import execute, fetch


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
    org_of(double, "maple").dashboards.pop("portfolio")
    answer = await grove.http.post(f"{maple.path}/grafana/reconcile", headers=grove.platform | {"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    (change,) = answer.json()["result"]["changes"]
    assert (change["action"], change["kind"], change["name"]) == ("create", "dashboard", "portfolio")
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


@pytest.mark.parametrize(
    ("path", "step"),
    [
        (r"^/api/orgs$", "grafana_organisation"),
        (r"^/api/datasources$", "grafana_datasource"),
        (r"^/api/folders$", "grafana_folders"),
        (r"^/api/dashboards/db$", "grafana_dashboards"),
        (r"^/api/admin/users$", "grafana_staff"),
    ],
)
async def test_what_grafana_does_not_take_is_a_problem_that_names_the_operation_and_no_words_of_grafanas(
    grove: Grove, double: GrafanaDouble, path: str, step: str
) -> None:
    double.fail("POST", path, how="400")
    wanted = {"id": "birch", "name": "Birch", "staff": [{"email": "ana@birch.example", "role": "viewer"}]}
    headers = grove.platform | {"Prefer": "wait=30"}
    answer = await grove.http.post("/api/v1/clients", json=wanted, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (502, "grafana_refused"), problem
    assert WORDS not in answer.text
    operation = (await grove.http.get(problem["instance"], headers=grove.platform)).json()
    assert WORDS not in str(operation)
    assert operation["state"] == "failed"
    assert operation["error"]["detail"] == problem["detail"]
    assert operation["error"]["step"] == step
    assert {each["state"] for each in operation["steps"]} <= {"undone", "skipped", "pending"}
    assert [org for org in double.orgs.values() if org.name == "birch"] == []


async def test_dashboards_that_there_are_none_of_are_refused_with_those_that_there_are(
    grove: Grove, maple: MadeClient
) -> None:
    known = "chatbot, portfolio, shop"
    new = {"id": "birch", "name": "Birch", "dashboards": ["shop", "chat-bot"]}
    created = await grove.http.post("/api/v1/clients", json=new, headers=grove.platform)
    changed = await grove.http.patch(maple.path, json={"dashboards": ["web"]}, headers=grove.platform)
    for answer, pointer in ((created, "/dashboards/1"), (changed, "/dashboards/0")):
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]
        assert (error["pointer"], known in error["detail"]) == (pointer, True)


async def test_a_file_that_names_dashboards_that_there_are_none_of_is_refused_whole(
    grove: Grove, tmp_path: Path
) -> None:
    path = tmp_path / "clients.json"
    wanted = [{"id": "birch", "name": "Birch"}, {"id": "maple", "name": "Maple", "dashboards": ["web"]}]
    path.write_text(json.dumps({"clients": wanted}), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "tenant", "apply", str(path), env=to_environ(grove.settings),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode != 0
    assert "maple: /dashboards/0" in said.decode()
    assert "chatbot, portfolio, shop" in " ".join(said.decode().split())
    assert (await grove.http.get("/api/v1/clients/birch", headers=grove.platform)).status_code == 404


async def test_organisations_that_cannot_be_the_clients_are_refused_by_the_name_of_the_field(
    grove: Grove, double: GrafanaDouble, maple: MadeClient
) -> None:
    strangers = Org(double.next_id("org"), "Strangers", members={1: "Admin", 77: "Viewer"})
    double.orgs[strangers.id] = strangers
    double.users[77] = {"id": 77, "login": "x", "email": "x@x.example", "name": "X", "orgId": strangers.id}
    refused = {1: (400, "Organisation 1"), org_of(double, maple.id).id: (409, "Another client"),
               strangers.id: (409, "people are in it"), 9999: (409, "no organisation")}  # fmt: skip
    for number, (status, words) in refused.items():
        wanted = {"id": "birch", "name": "Birch", "grafanaOrgId": number}
        headers = grove.platform | {"Prefer": "wait=30"}
        answer = await grove.http.post("/api/v1/clients", json=wanted, headers=headers)
        assert answer.status_code == status, answer.text
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/grafanaOrgId"
        assert words in error["detail"]
    del double.orgs[strangers.id], double.users[77]


async def run_command(grove: Grove, *words: str) -> tuple[int, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", *words, "--json", env=to_environ(grove.settings), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode or 0, json.loads(said) if said else None


async def test_the_command_rehearses_repairs_and_rolls_templates(
    grove: Grove, double: GrafanaDouble, maple: MadeClient
) -> None:
    org_of(double, maple.id).dashboards.pop("portfolio")
    status, told = await run_command(grove, "grafana", "reconcile", "maple", "--dry-run")
    assert (status, [change["name"] for change in told[0]["changes"]]) == (1, ["portfolio"])
    assert "portfolio" not in org_of(double, maple.id).dashboards
    status, told = await run_command(grove, "grafana", "reconcile", "--all")
    assert (status, [(each["client_id"], each["error"]) for each in told]) == (0, [(PLATFORM, None), ("maple", None)])
    assert "portfolio" in org_of(double, maple.id).dashboards
    version = str(shipped_templates().version)
    for words in (["--canary", "1"], ["--all"], ["--rollback", version]):
        status, told = await run_command(grove, "grafana", "upgrade", *words)
        assert (status, [outcome["error"] for outcome in told]) == (0, [None])
    status, _ = await run_command(grove, "grafana", "upgrade", "--rollback", "999")
    assert status == 2


async def test_a_rehearsal_of_all_takes_none_for_a_failure_that_has_no_grafana_to_look_at(
    grove: Grove, maple: MadeClient
) -> None:
    server = "UPDATE grove.servers SET serve_login = $1 WHERE name = 'main'"
    (kept,) = await fetch(grove.settings.main_url, "SELECT serve_login FROM grove.servers WHERE name = 'main'")
    await execute(grove.settings.main_url, server, None)
    try:
        status, told = await run_command(grove, "grafana", "reconcile", "--all", "--dry-run")
    finally:
        await execute(grove.settings.main_url, server, kept["serve_login"])
    (skipped,) = [each["skipped"] for each in told if each["client_id"] == maple.id]
    assert (status, "no login" in skipped) == (0, True)


async def test_a_version_that_should_not_be_used_is_refused_at_the_start_unless_it_is_named(
    postgres: EmbeddedPostgres, double: GrafanaDouble
) -> None:
    named = {"grafana_url": double.url, "grafana_admin_password": PASSWORD}
    async with own_database(postgres.url) as url:
        with pytest.raises(GrafanaUnfit, match=r"9\.4\.0-pre is not supported.*GROVE_GRAFANA_ALLOW_VERSION"):
            await bootstrap(grove_settings(url, **named))
        assert (await bootstrap(grove_settings(url, **named, grafana_allow_version=ALLOWED))).platform_key
        assert (await bootstrap(grove_settings(url, **(named | {"grafana_url": "http://127.0.0.1:1"})))).clients
