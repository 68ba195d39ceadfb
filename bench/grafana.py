"""`python -m bench.grafana`: onboard many clients on a real Grafana, then open every dashboard of each once.

Prints organisations per minute for the first and the last quarter (aim: the last at least 0.8 of the first), and the
connections to Postgres that Grafana held at most while the dashboards were open, and after. Needs a Grafana here
(`GRAFANA_URL`, `GRAFANA_HOME` or `grafana` on the PATH); its clients are removed again.
"""

import asyncio
import secrets
import sys
import time
from typing import Any

import click
import httpx
import msgspec
from rich.console import Console
from rich.progress import track

from provisioning.lifecycle import delete_client
from tests.support.engines import throwaway_postgres
from tests.support.grafana import Target, missing_reason, real_grafana
from tests.support.provisioner import ACTOR, Provisioner, fetch, open_provisioner

AIM = 0.8
SAMPLE_S = 0.1
# As a browser has it: so many requests of a page at once.
AT_ONCE = 6
STAFF = [{"email": "ana@maple.example", "role": "viewer"}]
_CONNECTIONS = "SELECT count(*) AS n FROM pg_stat_activity WHERE usename LIKE 't\\_%\\_l' AND pid <> pg_backend_pid()"


class Report(msgspec.Struct, kw_only=True):
    """What was measured."""

    clients: int
    first_per_minute: float
    last_per_minute: float
    ratio: float
    dashboards: int = 0
    panels: int = 0
    failed: int = 0
    most_connections: int = 0
    connections_after: int = 0


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
    Console(stderr=True).print(
        f"{report.clients} clients: {report.first_per_minute:.0f} a minute at first, {report.last_per_minute:.0f} at "
        f"last (ratio {report.ratio:.2f}, aim {AIM}). {report.dashboards} dashboards, {report.panels} panels, "
        f"{report.failed} failed; {report.most_connections} connections at most, {report.connections_after} after it."
    )
    print(msgspec.json.encode(report).decode())
    sys.exit(0 if report.ratio >= AIM and report.failed == 0 else 1)


async def measure(target: Target, admin_url: str, count: int, *, keep: bool) -> Report:
    """Onboard, open everything, and remove all again."""
    mark = secrets.token_hex(2)
    ids = [f"bench-{mark}-{number:04}" for number in range(count)]
    async with open_provisioner(admin_url, grafana=target.admin(timeout_s=60)) as grove:
        taken = [await _onboard(grove, each) for each in track(ids, "Onboarding", console=Console(stderr=True))]
        report = _rates(taken)
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


def _rates(taken: list[float]) -> Report:
    quarter = max(1, len(taken) // 4)
    first, last = (60 * quarter / sum(part) for part in (taken[:quarter], taken[-quarter:]))
    return Report(clients=len(taken), first_per_minute=first, last_per_minute=last, ratio=last / first)


async def _open_everything(grove: Provisioner, target: Target, ids: list[str], report: Report) -> None:
    counting = asyncio.create_task(_count_connections(grove, report))
    async with httpx.AsyncClient(base_url=target.url, trust_env=False, timeout=60) as http:
        for each in track(ids, "Opening dashboards", console=Console(stderr=True)):
            (row,) = await grove.fetch("SELECT grafana_org_id FROM grove.clients WHERE id = $1", each)
            as_staff = {"X-WEBAUTH-USER": f"{each}:ana@maple.example", "X-Grafana-Org-Id": str(row["grafana_org_id"])}
            for hit in (await http.get("/api/search?type=dash-db", headers=as_staff)).json():
                await _open_dashboard(http, hit["uid"], as_staff, report)
    counting.cancel()
    await asyncio.wait([counting])
    report.connections_after = (await grove.fetch(_CONNECTIONS))[0]["n"]


async def _open_dashboard(http: httpx.AsyncClient, uid: str, headers: dict[str, str], report: Report) -> None:
    model = (await http.get(f"/api/dashboards/uid/{uid}", headers=headers)).json()["dashboard"]
    report.dashboards += 1
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(panel: dict[str, Any]) -> None:
        queries = [
            {"refId": "A", "intervalMs": 60000, "maxDataPoints": 500}
            | each
            | {
                "rawSql": each["rawSql"].replace("${tz}", "UTC").replace("${bucket}", "day"),
                "datasource": {"uid": "analytics"},
            }
            for each in panel["targets"]
        ]
        body = {"from": "now-24h", "to": "now", "queries": queries}
        async with gate:
            answer = await http.post("/api/ds/query", json=body, headers=headers)
        report.panels += 1
        report.failed += answer.status_code != httpx.codes.OK

    await asyncio.gather(*(ask(panel) for panel in model["panels"] if panel.get("targets")))


async def _count_connections(grove: Provisioner, report: Report) -> None:
    while True:
        (row,) = await fetch(grove.url, _CONNECTIONS)
        report.most_connections = max(report.most_connections, row["n"])
        await asyncio.sleep(SAMPLE_S)


if __name__ == "__main__":
    main()
