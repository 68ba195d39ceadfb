"""What the demo does with a Grafana: finds it, reads dashboards as staff do, and tries to read those of others.

Called by `run`. Figures come through the gateway, as a member of staff; only the health of datasources is asked of
Grafana itself.
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from app.demo.api import require
from app.demo.check import Walls
from app.demo.errors import DemoFailed
from app.demo.people import Visitor, open_visitor
from app.embedded.errors import EngineMissing
from app.embedded.grafana import Installation, find_installation
from app.settings import Settings
from app.workers.resources import grafana_of
from provisioning.grafana.client import GrafanaAdmin
from provisioning.grafana.versions import Version
from provisioning.templates import DATASOURCE

_MONTH_S = 30 * 86_400
_WELL = "OK"
# What is asked of another client's Grafana.
_TARGETS = (
    ("GET", "/"),
    ("GET", "/api/dashboards/home"),
    ("GET", "/api/search"),
    ("POST", "/api/ds/query"),
)
_REFUSED = frozenset({401, 404})


class GrafanaFigures(msgspec.Struct, frozen=True):
    """What was seen of the clients' Grafana.

    Shape: `orgs` and `dashboards` are those of clients; `datasource_health` is what each client's own says.
    Units: seconds from the order to onboard a new client to its first event's figure on its dashboard.
    """

    version: str
    orgs: int
    dashboards: int
    datasource_health: dict[str, str]
    onboarding_seconds: float


class LocalGrafana(msgspec.Struct, frozen=True):
    """The Grafana that the demo starts. Where it starts none, `missing` is the reason, unless another is given."""

    installation: Installation | None = None
    missing: str | None = None


class Dashboard(msgspec.Struct, frozen=True):
    """A dashboard as staff see it."""

    uid: str
    panels: list[dict[str, Any]]
    variables: dict[str, str]

    def queries(self, panel: dict[str, Any]) -> list[dict[str, Any]]:
        """Write a panel's queries as its page sends them."""
        found = []
        for target in panel.get("targets", []):
            sql = target["rawSql"]
            for name, value in self.variables.items():
                sql = sql.replace(f"${{{name}}}", value).replace(f"${name}", value)
            datasource = {"type": target["datasource"]["type"], "uid": target["datasource"]["uid"]}
            found.append(target | {"rawSql": sql, "datasource": datasource, "intervalMs": 60_000, "maxDataPoints": 500})
        return found


def find_local(settings: Settings) -> LocalGrafana:
    """Find what to start.

    Errors: EngineFailed, if GRAFANA_HOME holds none; DemoFailed, if GRAFANA_URL comes without the password.
    """
    if settings.grafana_url is not None:
        if settings.grafana_admin_password is None:
            raise DemoFailed("GRAFANA_URL is set; set GRAFANA_ADMIN_PASSWORD, too.")
        return LocalGrafana()
    if settings.database_url is not None:
        return LocalGrafana(missing="with DATABASE_URL the demo starts no servers; set GRAFANA_URL, too.")
    try:
        return LocalGrafana(installation=find_installation(settings.grafana_home))
    except EngineMissing as error:
        return LocalGrafana(missing=error.reason)


async def find_version(settings: Settings) -> Version | None:
    """Ask Grafana for its version; None without one.

    Errors: GrafanaUnavailable; GrafanaUnfit.
    """
    grafana = grafana_of(settings)
    if grafana is None:
        return None
    try:
        return await grafana.check_version()
    finally:
        await grafana.close()


async def list_dashboards(visitor: Visitor) -> list[str]:
    """List the dashboards that somebody sees.

    Errors: DemoFailed.
    """
    found: list[dict[str, Any]] = require(await visitor.ask("GET", "/api/search?type=dash-db"), 200)
    return [one["uid"] for one in found]


async def read_dashboard(visitor: Visitor, uid: str) -> Dashboard:
    """Read a dashboard.

    Errors: DemoFailed.
    """
    model = require(await visitor.ask("GET", f"/api/dashboards/uid/{uid}"), 200)["dashboard"]
    variables = {one["name"]: str(one["current"]["value"]) for one in model.get("templating", {}).get("list", [])}
    return Dashboard(uid, model["panels"], variables)


async def read_panel(visitor: Visitor, dashboard: Dashboard, panel: dict[str, Any]) -> list[list[Any]]:
    """Run a panel's queries over the last month, and return the columns of the first answer that has any.

    Errors: DemoFailed, if the panel would show an error.
    """
    now_ms = int(time.time() * 1000)
    body = {"queries": dashboard.queries(panel), "from": str(now_ms - _MONTH_S * 1000), "to": str(now_ms + 1000)}
    answer = await visitor.ask("POST", "/api/ds/query", json=body)
    results: dict[str, Any] = require(answer, 200)["results"]
    for result in results.values():
        if "error" in result:
            raise DemoFailed(f"{panel.get('title')!r} of {visitor.client_id}/{dashboard.uid}: {result['error']}")
    frames = [frame["data"]["values"] for result in results.values() for frame in result.get("frames", [])]
    return next((columns for columns in frames if any(columns)), [])


async def check_dashboards(visitor: Visitor) -> int:
    """Run every panel of every dashboard that somebody sees; return how many dashboards there are.

    Errors: DemoFailed.
    """
    uids = await list_dashboards(visitor)
    if not uids:
        raise DemoFailed(f"The staff of {visitor.client_id} see no dashboard.")
    for uid in uids:
        dashboard = await read_dashboard(visitor, uid)
        for panel in dashboard.panels:
            if panel.get("targets"):
                await read_panel(visitor, dashboard, panel)
    return len(uids)


async def check_neighbours(url: str, visitors: Sequence[Visitor]) -> Walls:
    """Ask for each client's Grafana with every other client's session; nothing but 401 and 404 may be answered.

    Errors: DemoFailed.
    """
    attempts, leaks = 0, []
    for host in visitors:
        async with open_visitor(url, host.client_id) as visitor:
            for stranger in visitors:
                for method, path in _TARGETS if stranger is not host else ():
                    answer = await visitor.ask(method, path, headers={"Cookie": stranger.cookies})
                    attempts += 1
                    if answer.status_code not in _REFUSED:
                        leaks.append(f"{stranger.client_id}: {method} {answer.url.path} → {answer.status_code}")
    if leaks:
        raise DemoFailed(f"Staff of one client reached the Grafana of another: {leaks}")
    return Walls(attempts, 0)


async def read_health(settings: Settings, client_ids: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Ask Grafana for its version, and how each client's datasource is.

    Errors: GroveError; DemoFailed, if a client has no organisation or its datasource is not well.
    """
    grafana = grafana_of(settings)
    if grafana is None:
        raise DemoFailed("The server has no Grafana.")
    try:
        version = (await grafana.check_version()).text
        health = {client_id: await _health_of(grafana, client_id) for client_id in client_ids}
    finally:
        await grafana.close()
    return version, health


async def _health_of(grafana: GrafanaAdmin, client_id: str) -> str:
    org = (await grafana.find(f"/api/orgs/name/{client_id}") or {}).get("id")
    if org is None:
        raise DemoFailed(f"The client {client_id} has no organisation in Grafana.")
    status: str = (await grafana.get(f"/api/datasources/uid/{DATASOURCE}/health", org=org))["status"]
    if status != _WELL:
        raise DemoFailed(f"The datasource of {client_id} is not well: {status}")
    return status
