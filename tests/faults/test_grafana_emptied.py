"""A real Grafana whose database is gone: one command builds all of it again from the control plane."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.settings import to_environ
from app.workers.resources import open_worker_resources
from provisioning.grafana.client import GrafanaAdmin
from provisioning.grafana.organisations import PLATFORM
from provisioning.grafana.platform import ensure_platform
from provisioning.grafana.reconcile import rehearse
from tests.support.grafana import ALLOWED, Target, missing_reason, started_grafana
from tests.support.grafana_double import PASSWORD
from tests.support.grove import Grove, open_grove
from tests.support.provisioner import fetch

pytestmark = pytest.mark.grafana

PEOPLE = {"maple": {"ana": "viewer", "ben": "editor"}, "birch": {"ana": "editor"}}
OWN = {"dashboard": {"uid": "own-copy", "title": "My copy", "panels": []}, "overwrite": False}


class Restartable:
    """A Grafana of our own that can be stopped, emptied and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self.target = self._start()

    def _start(self) -> Target:
        return self._running.enter_context(started_grafana(self._folder))

    def stop(self) -> None:
        """Stop it."""
        self._running.close()

    def begin_anew(self) -> None:
        """Stop it, take its database away, and start it."""
        self.stop()
        shutil.rmtree(self._folder / "data")
        self.target = self._start()


@pytest.fixture
def grafana(tmp_path: Path) -> Iterator[Restartable]:
    if os.environ.get("GRAFANA_URL"):  # noqa: TID251 - says what this machine has
        pytest.skip("the Grafana of GRAFANA_URL is not ours to stop")
    if missing_reason() is not None:
        pytest.skip(str(missing_reason()))
    running = Restartable(tmp_path)
    yield running
    running.stop()


@asynccontextmanager
async def looking_at(target: Target) -> AsyncIterator[GrafanaAdmin]:
    admin = target.admin()
    try:
        yield admin
    finally:
        await admin.close()


def staff_of(client_id: str) -> list[dict[str, str]]:
    return [{"email": f"{name}@x.example", "role": role} for name, role in PEOPLE[client_id].items()]


async def numbers(grove: Grove) -> dict[str, int]:
    rows = await fetch(grove.settings.main_url, "SELECT id, grafana_org_id FROM grove.clients")
    return {row["id"]: row["grafana_org_id"] for row in rows}


async def describe(grove: Grove, admin: GrafanaAdmin) -> dict[str, Any]:
    """Describe what each client has in Grafana, by what does not depend on numbers."""
    found = {}
    for client_id, org in (await numbers(grove)).items():
        members = {
            each["login"]: each for each in await admin.get(f"/api/orgs/{org}/users") if each["login"] != "admin"
        }
        elsewhere = [
            membership["orgId"]
            for member in members.values()
            for membership in await admin.get(f"/api/users/{member['userId']}/orgs")
            if membership["orgId"] != org
        ]
        hits = await admin.get("/api/search", org=org)
        found[client_id] = {
            "roles": {login: member["role"] for login, member in members.items()},
            "elsewhere": elsewhere,
            "health": (await admin.get("/api/datasources/uid/analytics/health", org=org))["status"],
            "folders": sorted(hit["uid"] for hit in hits if hit["type"] == "dash-folder"),
            "dashboards": sorted(hit["uid"] for hit in hits if hit["type"] == "dash-db"),
            "home": (await admin.get("/api/org/preferences", org=org))["homeDashboardUID"],
        }
    return found


async def reconcile_all(grove: Grove) -> tuple[int, list[dict[str, Any]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "grafana", "reconcile", "--all", "--json", env=to_environ(grove.settings),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode or 0, json.loads(said)


@pytest.mark.fault(29)
async def test_an_emptied_grafana_is_built_again_by_one_command(
    postgres: EmbeddedPostgres, grafana: Restartable
) -> None:
    named = {"grafana_url": grafana.target.url, "grafana_admin_password": PASSWORD, "grafana_allow_version": ALLOWED}
    async with open_grove(postgres.url, **named) as grove:
        async with looking_at(grafana.target) as admin, grove.worker():
            await admin.create("/api/orgs", {"name": "Somebody else's"})
            given = (await admin.create("/api/orgs", {"name": "Nobody's"}))["orgId"]
            await grove.make_client("maple", staff=staff_of("maple"))
            await grove.make_client("birch", staff=staff_of("birch"), grafanaOrgId=given)
            before, lost = await describe(grove, admin), await numbers(grove)
            assert [each["health"] for each in before.values()] == ["OK", "OK"]
            await admin.create("/api/dashboards/db", OWN, org=lost["maple"])

        grafana.begin_anew()
        grove.settings = msgspec.structs.replace(grove.settings, grafana_url=grafana.target.url)
        status, outcomes = await reconcile_all(grove)

        assert status == 0
        assert {each["client_id"]: each["error"] for each in outcomes} == dict.fromkeys((PLATFORM, "maple", "birch"))
        async with looking_at(grafana.target) as admin, open_worker_resources(grove.settings) as resources:
            # All but what the staff had made for themselves, which Grafana alone knew.
            assert await describe(grove, admin) == before
            found = await numbers(grove)
            assert found["birch"] != lost["birch"], "what was given is gone, and its number may be anybody's"
            for client_id in PEOPLE:
                assert (await admin.get(f"/api/orgs/{found[client_id]}"))["name"] == client_id
                assert await rehearse(resources.runner.means, client_id) == []
            assert await ensure_platform(resources.runner.means, rehearse=True) == []
