"""What the dashboards in a client's Grafana read: its own schema or, about chats, its attached database."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from provisioning.apply import Wanted, apply_client, check_clients
from provisioning.grafana.client import GrafanaAdmin
from provisioning.operations import find_open_operation
from provisioning.plans import RECONCILE
from provisioning.requests import ClientChange, NewClient, NewPlacement
from tests.support.desks import LEGACY_SOURCE, LEGACY_TABLES
from tests.support.grafana_panels import panel_requests
from tests.support.grove import own_database
from tests.support.provisioner import ACTOR, Provisioner, execute

SOURCE = "/api/datasources/uid/source"
MAP: dict[str, Any] = {
    "schema": LEGACY_SOURCE.schema,
    "sourceTimezone": LEGACY_SOURCE.timezone,
    "tables": LEGACY_SOURCE.tables,
    "columns": LEGACY_SOURCE.columns,
}
SESSIONS = """INSERT INTO visits ("visit:id", page_loaded_at, "widgetOpened", "createdAt", "updatedAt")
SELECT n, t, CASE WHEN n <= 2 THEN t END, t, t
FROM generate_series(1, 5) n, (SELECT now() AT TIME ZONE 'America/New_York' - interval '1 day' AS t) AS yesterday"""


@pytest.fixture
async def customer(grove: Provisioner) -> AsyncIterator[str]:
    """A customer's database with five sessions of yesterday, two of which opened the widget."""
    async with own_database(grove.url) as url:
        await fill(url)
        yield url


async def fill(url: str) -> None:
    path = 'SET search_path TO "chat data"'
    await execute(url, f'CREATE SCHEMA "chat data"; {path}; {LEGACY_TABLES}; {SESSIONS}')


async def org_of(grove: Provisioner, client_id: str) -> int:
    (row,) = await grove.fetch("SELECT grafana_org_id FROM grove.clients WHERE id = $1", client_id)
    return int(row["grafana_org_id"])


@pytest.mark.parametrize("kind", ["schema", "database"])
async def test_every_dashboard_of_an_own_client_works(grove: Provisioner, kind: str) -> None:
    admin = grove.grafana
    assert admin is not None
    client_id = f"own-{kind}"
    assert (await grove.create(client_id, placement={"kind": kind})).state == "succeeded"
    org = await org_of(grove, client_id)
    hits = await admin.get("/api/search?type=dash-db", org=org)
    opened = {hit["uid"]: await open_dashboard(admin, org, hit["uid"]) for hit in hits}
    assert opened.keys() == {"user-events", "conversations", "portfolio", "e-commerce"}
    assert {read for panels in opened.values() for read, _ in panels} == {"analytics"}
    assert opened["user-events"][0][1]["Sessions"] == [0]
    assert (await grove.remove(client_id)).state == "succeeded"


async def open_dashboard(admin: GrafanaAdmin, org: int, uid: str) -> list[tuple[str, dict[str, Any]]]:
    """Ask every panel of a dashboard; return the datasource that it reads, and the columns of its answer."""
    model = (await admin.get(f"/api/dashboards/uid/{uid}", org=org))["dashboard"]
    found = []
    for body in panel_requests(model):
        answer = await admin.create("/api/ds/query", body, org=org)
        (result,) = answer["results"].values()
        assert result["status"] == 200
        # A series without rows has no frame.
        columns = {
            field["name"]: values
            for frame in result["frames"]
            for field, values in zip(frame["schema"]["fields"], frame["data"]["values"], strict=False)
        }
        found.append((body["queries"][0]["datasource"]["uid"], columns))
    return found


async def test_every_dashboard_of_an_attached_client_works_and_counts_its_sessions(
    grove: Provisioner, customer: str
) -> None:
    admin = grove.grafana
    assert admin is not None
    view = await grove.create("attached", placement={"kind": "external", "url": customer} | MAP)
    assert view.state == "succeeded", view
    org = await org_of(grove, "attached")
    assert (await admin.get(f"{SOURCE}/health", org=org))["status"] == "OK"
    stored = await admin.get(SOURCE, org=org)
    place = (await grove.context("attached")).placement
    assert stored["user"] in str(place.source_url)
    assert stored["user"] != place.login_role
    assert {name: stored["jsonData"][name] for name in ("maxOpenConns", "maxIdleConns", "connMaxLifetime")} == {
        "maxOpenConns": 3, "maxIdleConns": 0, "connMaxLifetime": 60,
    }  # fmt: skip

    hits = await admin.get("/api/search?type=dash-db", org=org)
    opened = {hit["uid"]: await open_dashboard(admin, org, hit["uid"]) for hit in hits}
    assert {uid: {read for read, _ in panels} for uid, panels in opened.items()} == {
        "user-events": {"source"}, "conversations": {"source"}, "portfolio": {"analytics"}, "e-commerce": {"analytics"},
    }  # fmt: skip
    glance = opened["user-events"][0][1]
    assert glance["Sessions"] == [5]
    assert (await grove.reconcile("attached")).result == {"changes": []}
    assert (await grove.remove("attached")).state == "succeeded"


async def test_an_attached_database_that_moved_is_followed_by_grafana(grove: Provisioner, customer: str) -> None:
    admin = grove.grafana
    assert admin is not None
    await grove.create("moves", placement={"kind": "external", "url": customer} | MAP)
    async with own_database(grove.url) as after:
        await fill(after)
        wanted = Wanted(
            NewClient(id="moves", name="Moves", placement=NewPlacement(kind="external", url=after)), ClientChange()
        )
        await check_clients(grove.control, grove.onboarding, [wanted], vault=grove.vault)
        async with grove.control.session() as session:
            await apply_client(
                session, grove.onboarding, wanted, ACTOR, clock=grove.clock, vault=grove.vault, grace_days=30
            )
        async with grove.control.session() as session:
            ordered = await find_open_operation(session, "moves", RECONCILE)
        assert ordered is not None
        view = await grove.runner().run(ordered)
        assert [(change["kind"], change["detail"]) for change in (view.result or {})["changes"]] == [
            ("datasource", "database")
        ]
        org = await org_of(grove, "moves")
        assert after.endswith((await admin.get(SOURCE, org=org))["jsonData"]["database"])
        assert (await admin.get(f"{SOURCE}/health", org=org))["status"] == "OK"
        (row,) = await grove.fetch("SELECT source_role FROM grove.placements WHERE client_id = 'moves'")
        # The old database is on the same server as the new one, and still knows the login.
        await execute(customer, f'DROP OWNED BY "{row["source_role"]}"')
        assert (await grove.remove("moves")).state == "succeeded"
