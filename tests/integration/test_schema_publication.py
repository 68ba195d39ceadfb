"""Publishing schemas: a dashboard in the client's Grafana, none that is left over, and no way to end it half-way."""

import secrets
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.grafana.client import GrafanaAdmin
from provisioning.operations import OperationView
from provisioning.schemas.dashboard import FOLDER
from provisioning.schemas.publication import PUBLISH, request_publication
from provisioning.schemas.store import NewSchema, SchemaView, change_schema, create_schema, delete_schema
from tests.support.crashes import Crash, replaced, run_to_the_end, with_ensure
from tests.support.grafana_panels import panel_requests
from tests.support.provisioner import ACTOR, Provisioner

SHOP = NewSchema(name="shop", properties={"purchase": {"total": "number", "coupon": "string"}, "visit": {}})


@pytest.fixture
async def client(grove: Provisioner) -> str:
    """A client of its own for each test."""
    client_id = f"keep-{secrets.token_hex(4)}"
    assert (await grove.create(client_id)).state == "succeeded"
    return client_id


async def order(grove: Provisioner, client_id: str, change: Any) -> tuple[Any, Any]:
    """Change a client's schemas and order that they are published; return what came of the change, and the order."""
    async with grove.serving.session() as session:
        return await change(session), await request_publication(session, client_id, ACTOR)


async def create(grove: Provisioner, client_id: str, new: NewSchema = SHOP) -> tuple[SchemaView, OperationView]:
    async def make(session: AsyncSession) -> SchemaView:
        return await create_schema(session, client_id, new, ACTOR, now=grove.now)

    made, operation_id = await order(grove, client_id, make)
    return made, await grove.runner().run(operation_id)


async def views(grove: Provisioner, client_id: str) -> set[str]:
    placement = (await grove.context(client_id)).placement
    rows = await grove.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relname LIKE 's\\_%'", placement.schema
    )
    return {row["relname"] for row in rows}


async def dashboards(grove: Provisioner, admin: GrafanaAdmin, client_id: str) -> tuple[int, dict[str, str]]:
    """List the dashboards that a client has for schemas, by their folder's title, and its organisation."""
    (row,) = await grove.fetch("SELECT grafana_org_id FROM grove.clients WHERE id = $1", client_id)
    org = int(row["grafana_org_id"])
    found = await admin.get("/api/search?limit=5000", org=org)
    return org, {hit["uid"]: hit.get("folderTitle", "") for hit in found if hit["uid"].startswith("schema-")}


async def test_a_schema_has_a_dashboard_in_grafana_whose_panels_answer_and_which_goes_with_it(
    grove: Provisioner, admin: GrafanaAdmin, client: str
) -> None:
    made, published = await create(grove, client)
    assert published.state == "succeeded", published
    org, found = await dashboards(grove, admin, client)
    ((uid, folder),) = found.items()
    assert (uid, folder) == (f"schema-{made.id.hex[:16]}", FOLDER)
    model = (await admin.get(f"/api/dashboards/uid/{uid}", org=org))["dashboard"]
    for body in panel_requests(model):
        answer = await admin.create("/api/ds/query", body, org=org)
        assert "error" not in answer["results"]["A"], answer
    assert (await grove.reconcile(client)).result == {"changes": []}

    _, operation_id = await order(
        grove, client, lambda session: delete_schema(session, client, made.id, ACTOR, now=grove.now)
    )
    assert (await grove.runner().run(operation_id)).state == "succeeded"
    assert (await dashboards(grove, admin, client))[1] == {}
    assert await admin.find("/api/folders/event-schemas", org=org) is None
    assert await views(grove, client) == set()


async def test_a_changed_schema_has_a_changed_dashboard(grove: Provisioner, admin: GrafanaAdmin, client: str) -> None:
    made, _ = await create(grove, client)
    wider = NewSchema(name="shop", properties=SHOP.properties | {"refund": {"reason": "string"}})
    _, operation_id = await order(
        grove, client, lambda session: change_schema(session, client, made.id, wider, ACTOR, now=grove.now)
    )
    await grove.runner().run(operation_id)
    org, found = await dashboards(grove, admin, client)
    (uid,) = found
    model = (await admin.get(f"/api/dashboards/uid/{uid}", org=org))["dashboard"]
    assert "refund: reason" in [panel["title"] for panel in model["panels"]]


async def test_a_crash_before_and_after_every_step_leaves_what_the_next_runner_finishes(
    grove: Provisioner, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in ("schema_views", "grafana_dashboards"):
        replaced(monkeypatch, PUBLISH, step, with_ensure(Crash, "before", "after"))
    _, operation_id = await order(
        grove, client, lambda session: create_schema(session, client, SHOP, ACTOR, now=grove.now)
    )
    view, crashes = await run_to_the_end(grove, operation_id)
    assert (view.state, crashes) == ("succeeded", 4)
    assert await views(grove, client) == {"s_shop_purchase", "s_shop_visit"}
    assert (await grove.context(client)).schemas["shop"].published == 1


async def test_changes_that_come_before_it_has_begun_share_an_operation(grove: Provisioner, client: str) -> None:
    blog = NewSchema(name="blog", properties={"read": {}})
    orders = [
        (
            await order(
                grove, client, lambda session, new=new: create_schema(session, client, new, ACTOR, now=grove.now)
            )
        )[1]
        for new in (SHOP, blog)
    ]
    assert orders[0] == orders[1]
    assert (await grove.runner().run(orders[0])).state == "succeeded"
    assert await views(grove, client) == {"s_shop_purchase", "s_shop_visit", "s_blog_read"}


async def test_only_views_that_differ_are_made_anew(grove: Provisioner, client: str) -> None:
    await create(grove, client)
    _, published = await create(grove, client, NewSchema(name="blog", properties={"read": {}}))
    assert published.steps[0].detail == "3 views, 1 made, 0 taken away"


async def test_removing_the_client_takes_its_schemas(grove: Provisioner, client: str) -> None:
    await create(grove, client)
    assert (await grove.remove(client)).state == "succeeded"
    assert await grove.fetch("SELECT FROM grove.event_schemas WHERE client_id = $1", client) == []
