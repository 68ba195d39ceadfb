"""`make bench WHAT=grafana`: onboard many clients on a real Grafana, then open every dashboard of each once.

Prints organisations per minute for each fifty (aim: the last at least 0.8 of the first), requests to Grafana for each
client, and how many connections to Postgres Grafana held at most while the dashboards were open, and after. Needs a
Grafana here (`GRAFANA_URL`, `GRAFANA_HOME` or `grafana` on the PATH); its clients are removed again.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import Mapping
from typing import Any

import click
import httpx
import msgspec
from rich.console import Console
from rich.progress import track

from provisioning.grafana.client import GrafanaAdmin
from provisioning.lifecycle import delete_client
from tests.support.engines import throwaway_postgres
from tests.support.grafana import ALLOWED, Target, missing_reason, real_grafana
from tests.support.grafana_panels import panel_requests
from tests.support.provisioner import ACTOR, Provisioner, fetch, open_provisioner

AIM = 0.8
FIFTY = 50
SAMPLE_S = 0.1
# As a browser has it: so many requests of a page at once.
AT_ONCE = 6
STAFF = [{"email": "ana@maple.example", "role": "viewer"}]
_CONNECTIONS = "SELECT count(*) AS n FROM pg_stat_activity WHERE usename LIKE 't\\_%\\_l' AND pid <> pg_backend_pid()"


class Report(msgspec.Struct, kw_only=True):
    """What was measured. `per_minute` is for each fifty, or each quarter of fewer than 200."""

    clients: int
    per_minute: list[float]
    ratio: float
    requests_per_client: float
    onboarding_s: float
    opening_s: float = 0
    dashboards: int = 0
    panels: int = 0
    failed: int = 0
    most_connections: int = 0
    connections_after: int = 0
    limit: int = 0


class CountingAdmin(GrafanaAdmin):
    """Grove's client of Grafana that counts what it sends."""

    sent = 0

    async def _send(self, method: str, path: str, headers: dict[str, str], body: Mapping[str, Any] | None) -> Any:
        self.sent += 1
        return await super()._send(method, path, headers, body)


@click.command()
@click.option("--clients", default=200, show_default=True, help="How many to onboard.")
@click.option("--keep", is_flag=True, help="Do not remove them in the end (the Postgres goes all the same).")
def main(clients: int, *, keep: bool) -> None:
    """Measure onboarding, and the connections of open dashboards, on a real Grafana."""
    reason = missing_reason()
    if reason is not None:
        raise click.ClickException(reason)
    with real_grafana() as target, throwaway_postgres() as postgres:
        report = asyncio.run(measure(target, postgres.url, clients, keep=keep))
    rates = ", ".join(f"{rate:.0f}" for rate in report.per_minute)
    Console(stderr=True).print(
        f"{report.clients} clients in {report.onboarding_s:.0f} s: {rates} a minute (last to first {report.ratio:.2f}, "
        f"aim {AIM}); {report.requests_per_client:.1f} requests to Grafana each. {report.dashboards} dashboards with "
        f"{report.panels} panels opened in {report.opening_s:.0f} s, {report.failed} failed; "
        f"{report.most_connections} connections at most, {report.connections_after} after it, of {report.limit}."
    )
    print(msgspec.json.encode(report).decode())
    sys.exit(0 if report.ratio >= AIM and report.failed == 0 else 1)


async def measure(target: Target, admin_url: str, count: int, *, keep: bool) -> Report:
    """Onboard, open everything, and remove all again."""
    mark = secrets.token_hex(2)
    ids = [f"bench-{mark}-{number:04}" for number in range(count)]
    admin = CountingAdmin(target.url, target.password, allow_version=ALLOWED, timeout_s=60)
    async with open_provisioner(admin_url, grafana=admin) as grove:
        taken = [await _onboard(grove, each) for each in track(ids, "Onboarding", console=Console(stderr=True))]
        report = _rates(taken, admin.sent)
        await _open_everything(grove, target, ids, report)
        if not keep:
            for each in track(ids, "Removing", console=Console(stderr=True)):
                async with grove.serving.session() as session:
                    operation_id = await delete_client(session, each, ACTOR, now=grove.now, grace_days=0)
                await grove.runner().run(operation_id)
    return report


async def _onboard(grove: Provisioner, client_id: str) -> float:
    started = time.monotonic()
    view = await grove.create(client_id, staff=STAFF)
    if view.state != "succeeded":
        raise RuntimeError(f"{client_id}: {[step.last_error for step in view.steps if step.last_error]}")
    return time.monotonic() - started


def _rates(taken: list[float], sent: int) -> Report:
    size = FIFTY if len(taken) >= 4 * FIFTY else max(1, len(taken) // 4)
    parts = [taken[at : at + size] for at in range(0, len(taken) - size + 1, size)]
    rates = [60 * size / sum(part) for part in parts]
    return Report(
        clients=len(taken), per_minute=rates, ratio=rates[-1] / rates[0], requests_per_client=sent / len(taken),
        onboarding_s=sum(taken),
    )  # fmt: skip


async def _open_everything(grove: Provisioner, target: Target, ids: list[str], report: Report) -> None:
    started, counting = time.monotonic(), asyncio.create_task(_count_connections(grove, report))
    async with httpx.AsyncClient(base_url=target.url, trust_env=False, timeout=60) as http:
        for each in track(ids, "Opening dashboards", console=Console(stderr=True)):
            (row,) = await grove.fetch("SELECT grafana_org_id FROM grove.clients WHERE id = $1", each)
            as_staff = {"X-WEBAUTH-USER": f"{each}:ana@maple.example", "X-Grafana-Org-Id": str(row["grafana_org_id"])}
            for hit in (await http.get("/api/search?type=dash-db", headers=as_staff)).json():
                await _open_dashboard(http, hit["uid"], as_staff, report)
    report.opening_s = time.monotonic() - started
    counting.cancel()
    await asyncio.wait([counting])
    report.connections_after = (await grove.fetch(_CONNECTIONS))[0]["n"]
    report.limit = int((await grove.fetch("SHOW max_connections"))[0]["max_connections"])


async def _open_dashboard(http: httpx.AsyncClient, uid: str, headers: dict[str, str], report: Report) -> None:
    model = (await http.get(f"/api/dashboards/uid/{uid}", headers=headers)).json()["dashboard"]
    report.dashboards += 1
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(body: dict[str, Any]) -> None:
        async with gate:
            answer = await http.post("/api/ds/query", json=body, headers=headers)
        report.panels += 1
        report.failed += answer.status_code != httpx.codes.OK

    await asyncio.gather(*(ask(body) for body in panel_requests(model)))


async def _count_connections(grove: Provisioner, report: Report) -> None:
    while True:
        (row,) = await fetch(grove.url, _CONNECTIONS)
        report.most_connections = max(report.most_connections, row["n"])
        await asyncio.sleep(SAMPLE_S)


if __name__ == "__main__":
    main()
