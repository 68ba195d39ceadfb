"""Event schemas: kept in versions, checked when events come in, and read as views, dashboards and documents."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from jsonschema import Draft202012Validator

from app.embedded.postgres import EmbeddedPostgres
from tenants.ids import quote
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in
from tests.support.waiting import until

PATH = "/api/schemas"
EVENTS = "/api/v1/events"
WAIT = {"Prefer": "wait=30"}
SHOP = {
    "name": "shop",
    "description": "What the shop sends.",
    "properties": {
        "purchase": {
            "order_id": "string",
            "total": "number",
            "gift": "boolean",
            "items": "array",
            "paid_at": "datetime",
        },
        "cart opened": {"user_id": "string", "size": "object"},
    },
}


def with_types(**event_types: dict[str, str]) -> dict[str, Any]:
    return SHOP | {"properties": SHOP["properties"] | event_types}  # type: ignore[operator]


class Keeper:
    """A client that keeps schemas."""

    def __init__(self, grove: Grove, client: MadeClient, schema: str) -> None:
        self.grove = grove
        self.client = client
        self._schema = schema

    async def ask(self, method: str, path: str = "", key: str = "admin", **wanted: Any) -> httpx.Response:
        """Ask about schemas with one of the client's keys."""
        headers = getattr(self.client, key) | wanted.pop("headers", WAIT)
        return await self.grove.http.request(method, PATH + path, headers=headers, **wanted)

    async def create(self, wanted: dict[str, Any] = SHOP) -> dict[str, Any]:
        """Make a schema and wait until it is published."""
        answer = await self.ask("POST", json=wanted)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def send(self, **event: Any) -> dict[str, Any]:
        """Send one event."""
        given = {"event_id": str(uuid.uuid4()), "name": "purchase", "schema": "shop"} | event
        answer = await self.grove.http.post(EVENTS, json=given, headers=self.client.server)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def refusal(self, **event: Any) -> dict[str, Any]:
        """Send one event that is refused."""
        (rejected,) = (await self.send(**event))["rejected"]
        return dict(rejected)

    async def rows(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Ask the client's tables as the administrator."""
        return await fetch_in(self.grove.settings.main_url, self._schema, sql, *args)

    async def views(self) -> set[str]:
        """List the views that the client's reader may read."""
        placement = await self.grove.placement_of(self.client.id)
        rows = await self.rows(
            "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'v' "
            "AND relname LIKE 's\\_%' AND has_table_privilege($2, oid, 'SELECT') "
            "AND has_table_privilege($3, oid, 'SELECT')",
            quote(placement.schema), placement.reader_role, placement.login_role,
        )  # fmt: skip
        return {row["relname"] for row in rows}


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture
async def keeper(grove: Grove) -> Keeper:
    """A client of its own for each test."""
    client = await grove.make_client(f"keep-{uuid.uuid4().hex[:12]}")
    return Keeper(grove, client, (await grove.placement_of(client.id)).schema)


async def test_a_schema_becomes_views_that_the_clients_readers_may_read(keeper: Keeper) -> None:
    made = await keeper.create()
    assert (made["version"], made["published"]) == (1, 1)
    assert made["views"] == {"purchase": "s_shop_purchase", "cart opened": "s_shop_cart_opened"}
    assert await keeper.views() == {"s_shop_purchase", "s_shop_cart_opened"}
    properties = {"order_id": "o-1", "total": 49.9, "gift": False, "items": [1], "paid_at": "2026-11-03T10:00:00+01:00"}
    assert (await keeper.send(properties=properties, user_id="u-1"))["accepted"] == 1
    (row,) = await keeper.rows("SELECT * FROM {schema}.s_shop_purchase")
    assert (row["order_id"], float(row["total"]), row["gift"], row["items"]) == ("o-1", 49.9, False, "[1]")
    assert row["paid_at"].isoformat() == "2026-11-03T09:00:00+00:00"
    assert (row["user_id"], row["schema_version"]) == ("u-1", 1)


async def test_a_field_that_every_view_has_already_gets_another_column(keeper: Keeper) -> None:
    await keeper.create()
    await keeper.send(name="cart opened", user_id="u-1", properties={"user_id": "theirs", "size": {"x": 1}})
    (row,) = await keeper.rows("SELECT user_id, property_user_id, size FROM {schema}.s_shop_cart_opened")
    assert tuple(row) == ("u-1", "theirs", '{"x": 1}')


@pytest.mark.parametrize(
    ("event", "code", "pointer", "words"),
    [
        ({"properties": {"total": "49"}}, "wrong_type", "/properties/total", "`number`"),
        ({"properties": {"total": True}}, "wrong_type", "/properties/total", "`number`"),
        ({"properties": {"order_id": 7}}, "wrong_type", "/properties/order_id", "`string`"),
        ({"properties": {"items": {}}}, "wrong_type", "/properties/items", "`array`"),
        ({"properties": {"paid_at": "today"}}, "invalid_time", "/properties/paid_at", "RFC 3339"),
        ({"properties": {"paid_at": 7}}, "wrong_type", "/properties/paid_at", "RFC 3339"),
        ({"name": "refund"}, "unknown_event_type", "/name", "`cart opened`, `purchase`"),
        ({"schema": "shopp"}, "unknown_schema", "/schema", "`shop`"),
        ({"schema": {"name": "shopp"}}, "unknown_schema", "/schema/name", "`shop`"),
        ({"schema": "shop@2"}, "unknown_schema", "/schema", "latest is 1"),
        ({"schema": {"name": "shop", "version": 2}}, "unknown_schema", "/schema/version", "latest is 1"),
    ],
)
async def test_events_are_checked_against_the_schema_that_they_name(
    grove: Grove, event: dict[str, Any], code: str, pointer: str, words: str
) -> None:
    keeper = await shared_keeper(grove)
    refused = await keeper.refusal(**event)
    assert (refused["code"], refused["pointer"]) == (code, pointer)
    assert words in refused["detail"]
    (kept,) = await keeper.rows(
        "SELECT code, pointer FROM {schema}.quarantine WHERE event_id = $1", refused["event_id"]
    )
    assert tuple(kept) == (code, pointer)


async def shared_keeper(grove: Grove) -> Keeper:
    """Return the client of the module's pure refusals."""
    if not hasattr(grove, "shared_keeper"):
        client = await grove.make_client("shared-keeper")
        keeper = Keeper(grove, client, (await grove.placement_of(client.id)).schema)
        await keeper.create()
        grove.shared_keeper = keeper  # type: ignore[attr-defined]
    kept: Keeper = grove.shared_keeper  # type: ignore[attr-defined]
    return kept


async def test_a_client_without_schemas_is_told_that_there_is_none(keeper: Keeper) -> None:
    refused = await keeper.refusal()
    assert (refused["code"], refused["detail"]) == ("unknown_schema", "There is no schema `shop`; there is none.")


async def test_missing_null_and_further_fields_are_let_through(keeper: Keeper) -> None:
    await keeper.create()
    for properties in ({}, {"total": None}, {"total": 1, "colour": "red"}):
        assert (await keeper.send(properties=properties))["accepted"] == 1


async def test_a_change_that_only_adds_is_a_new_version_and_takes_events_at_once(keeper: Keeper) -> None:
    made = await keeper.create()
    wider = with_types(purchase=SHOP["properties"]["purchase"] | {"coupon": "string"}, refund={"total": "number"})  # type: ignore[index]
    answer = await keeper.ask("PUT", f"/{made['id']}", json=wider)
    assert (answer.status_code, answer.json()["version"], answer.json()["published"]) == (200, 2, 2)
    assert await keeper.views() == {"s_shop_purchase", "s_shop_cart_opened", "s_shop_refund"}
    assert (await keeper.send(properties={"coupon": "x"}))["accepted"] == 1
    assert (await keeper.refusal(properties={"coupon": 1}))["code"] == "wrong_type"
    assert (await keeper.send(schema="shop@1", properties={"coupon": 1}))["accepted"] == 1
    rows = await keeper.rows("SELECT coupon, schema_version FROM {schema}.s_shop_purchase ORDER BY schema_version")
    assert [tuple(row) for row in rows] == [("1", 1), ("x", 2)]
    read = (await keeper.ask("GET", f"/{made['id']}")).json()
    assert [(each["version"], each["breaking"]) for each in read["versions"]] == [(1, False), (2, False)]
    earlier = (await keeper.ask("GET", f"/{made['id']}?version=1")).json()
    assert (earlier["version"], earlier["properties"]) == (1, SHOP["properties"])
    assert (await keeper.ask("GET", f"/{made['id']}?version=3")).status_code == 404


async def test_the_same_again_is_no_new_version(keeper: Keeper) -> None:
    made = await keeper.create()
    again = await keeper.ask("PUT", f"/{made['id']}", json=SHOP | {"description": "Said otherwise."})
    assert (again.json()["version"], again.json()["description"]) == (1, "Said otherwise.")


@pytest.mark.parametrize("force", ["?force", "?force=1", "?force=true"])
async def test_a_breaking_change_names_each_break_and_needs_force(keeper: Keeper, force: str) -> None:
    made = await keeper.create()
    await keeper.send(properties={"total": 7, "order_id": "o-1", "paid_at": "2026-11-03T10:00:00Z"})
    narrower = SHOP | {"properties": {"purchase": {"order_id": "number", "total": "number", "paid_at": "array"}}}
    refused = await keeper.ask("PUT", f"/{made['id']}", json=narrower)
    assert (refused.status_code, refused.json()["code"]) == (409, "incompatible_schema")
    assert {error["pointer"] for error in refused.json()["errors"]} == {
        "/properties/purchase/order_id", "/properties/purchase/gift", "/properties/purchase/items",
        "/properties/purchase/paid_at", "/properties/cart opened",
    }  # fmt: skip
    assert (await keeper.ask("PUT", f"/{made['id']}?force=0", json=narrower)).status_code == 409
    forced = await keeper.ask("PUT", f"/{made['id']}{force}", json=narrower)
    assert (forced.status_code, forced.json()["version"]) == (200, 2)
    assert await keeper.views() == {"s_shop_purchase"}
    (row,) = await keeper.rows("SELECT order_id, total, paid_at FROM {schema}.s_shop_purchase")
    assert (row["order_id"], int(row["total"]), row["paid_at"]) == (None, 7, None)


async def test_odd_rows_never_fail_a_view(keeper: Keeper) -> None:
    await keeper.create(SHOP | {"properties": {"odd": {"n": "number", "b": "boolean", "t": "datetime", "a": "array"}}})
    await keeper.create({"name": "loose", "properties": {"odd": {}}})
    values = [
        "x", "1", 1, 1e300, True, None, [], {}, [1], "2026-02-30T00:00:00Z", "2024-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:00", "2026-01-01t00:00:00.123456789z",
        "2026-01-01 00:00:00+14:59", "2026-01-01T00:00:00+23:59", "2026-01-01", "2026-01-01T24:00:00Z",
        "infinity", "now",
        "0001-01-01T00:00:00+14:00", "1900-02-29T00:00:00Z",
    ]  # fmt: skip
    for value in values:
        sent = await keeper.send(name="odd", schema="loose", properties=dict.fromkeys("nbta", value))
        assert sent["accepted"] == 1
    await keeper.rows("""UPDATE {schema}.events SET schema_name = 'shop'""")
    rows = await keeper.rows("SELECT n, b, t, a FROM {schema}.s_shop_odd")
    assert len(rows) == len(values)
    assert {str(row["n"]) for row in rows if row["n"] is not None} >= {"1"}
    assert [row["b"] for row in rows if row["b"] is not None] == [True]
    assert len([row for row in rows if row["t"] is not None]) == 3
    assert sorted(row["a"] for row in rows if row["a"] is not None) == ["[1]", "[]"]


async def test_a_replay_after_the_schema_changed_stores_the_event_once(keeper: Keeper) -> None:
    made = await keeper.create()
    refused = await keeper.refusal(event_id="refund-1", name="refund", properties={"total": 7})
    (row,) = (await keeper.grove.http.get("/api/v1/quarantine", headers=keeper.client.server)).json()["data"]
    assert (row["event_id"], row["code"]) == (refused["event_id"], "unknown_event_type")
    wider = await keeper.ask("PUT", f"/{made['id']}", json=with_types(refund={"total": "number"}))
    assert wider.status_code == 200
    replay = f"/api/v1/quarantine/{row['id']}/replay"
    assert (await keeper.grove.http.post(replay, headers=keeper.client.server)).json()["outcome"] == "stored"
    assert (await keeper.grove.http.post(replay, headers=keeper.client.server)).status_code == 404
    assert (await keeper.send(event_id="refund-1", name="refund", properties={"total": 7}))["duplicates"] == 1
    (stored,) = await keeper.rows("SELECT total, schema_version FROM {schema}.s_shop_refund")
    assert (int(stored["total"]), stored["schema_version"]) == (7, 2)


async def test_a_deleted_schema_takes_its_views_but_no_event(keeper: Keeper) -> None:
    made = await keeper.create()
    await keeper.create({"name": "blog", "properties": {"read": {}}})
    await keeper.send()
    answer = await keeper.ask("DELETE", f"/{made['id']}")
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert await keeper.views() == {"s_blog_read"}
    assert (await keeper.refusal())["detail"] == "There is no schema `shop`; there is `blog`."
    assert len(await keeper.rows("SELECT FROM {schema}.events")) == 1
    assert (await keeper.ask("GET", f"/{made['id']}")).status_code == 404


async def test_another_process_checks_by_the_changed_schema_within_a_second(keeper: Keeper) -> None:
    async with keeper.grove.twin() as twin:
        event = {"name": "purchase", "schema": "shop"}

        async def code() -> str | None:
            answer = await twin.http.post(EVENTS, json=event, headers=keeper.client.server)
            return next((each["code"] for each in answer.json()["rejected"]), None)

        assert await code() == "unknown_schema"
        await keeper.create()

        async def taken() -> bool:
            return await code() is None

        await until(taken, within_s=1)


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"name": "a@1"}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"name": "{{schema}}"}, "/name"),
        ({"properties": {}}, "/properties"),
        ({"properties": {"a'; --": {}}}, "/properties/a'; --"),
        ({"properties": {"a": {"$__timeFrom()": "string"}}}, "/properties/a/$__timeFrom()"),
        ({"properties": {"a": {"b": "text"}}}, "/properties/a/b"),
        ({"properties": {"a": "string"}}, "/properties"),
        ({"properties": {"a b": {}, "a-b": {}}}, "/properties/a-b"),
        ({"properties": {"a": {"user_id": "string", "property_user_id": "string"}}}, "/properties/a/user_id"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_schema_that_cannot_be_is_refused_with_a_pointer(
    grove: Grove, wanted: dict[str, Any], pointer: str
) -> None:
    keeper = await shared_keeper(grove)
    answer = await keeper.ask("POST", json={"name": "other", "properties": {"x": {}}} | wanted)
    assert answer.status_code == 400, answer.text
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}


async def test_names_that_would_share_a_view_are_refused(keeper: Keeper) -> None:
    await keeper.create({"name": "shop", "properties": {"cart_add": {}}})
    shared = await keeper.ask("POST", json={"name": "shop cart", "properties": {"add": {}}})
    assert (shared.status_code, shared.json()["errors"][0]["pointer"]) == (400, "/properties/add")
    again = await keeper.ask("POST", json={"name": "shop", "properties": {"cart_add": {}}})
    assert (again.status_code, again.json()["code"]) == (409, "already_taken")
    assert again.json()["errors"][0]["pointer"] == "/name"
    alike = await keeper.ask("POST", json={"name": "Shop", "properties": {"other": {}}})
    assert (alike.status_code, alike.json()["errors"][0]["pointer"]) == (409, "/name")


async def test_long_and_foreign_names_have_views_of_their_own(keeper: Keeper) -> None:
    long = "x" * 128
    made = await keeper.create(
        {"name": "магазин", "properties": {"заказ": {"сумма": "number"}, long: {long: "string"}}}
    )
    assert made["views"]["заказ"] == "s_магазин_заказ"
    assert len(made["views"][long].encode()) <= 63
    assert await keeper.views() == set(made["views"].values())


async def test_the_same_idempotency_key_makes_one_schema(keeper: Keeper) -> None:
    headers = {"Idempotency-Key": "shop-1"}
    first, again = [await keeper.ask("POST", json=SHOP, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    other = await keeper.ask("POST", json=SHOP | {"name": "other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")


async def test_schemas_are_listed_in_pages_the_oldest_first(keeper: Keeper) -> None:
    for name in ("one", "two", "three"):
        await keeper.create({"name": name, "properties": {"x": {}}})
    first = (await keeper.ask("GET", "?limit=2", key="server")).json()
    rest = (await keeper.ask("GET", f"?limit=2&cursor={first['meta']['next']}", key="server")).json()
    assert [each["name"] for each in first["data"] + rest["data"]] == ["one", "two", "three"]
    assert rest["meta"]["next"] is None


async def test_servers_read_schemas_browsers_do_not_and_admins_change_them(keeper: Keeper) -> None:
    made = await keeper.create()
    for key, reads, changes in (("admin", 200, 200), ("server", 200, 403), ("browser", 403, 403)):
        assert (await keeper.ask("GET", f"/{made['id']}", key)).status_code == reads
        assert (await keeper.ask("PUT", f"/{made['id']}", key, json=SHOP)).status_code == changes


async def test_the_platform_names_the_client(keeper: Keeper) -> None:
    http, platform = keeper.grove.http, keeper.grove.platform
    made = await http.post(f"{PATH}?client={keeper.client.id}", json=SHOP, headers=platform | WAIT)
    assert made.status_code == 201, made.text
    unnamed = await http.get(PATH, headers=platform)
    assert (unnamed.status_code, unnamed.json()["code"]) == (400, "client_missing")
    assert (await http.get(f"{PATH}?client=nobody", headers=platform)).status_code == 404
    assert (await keeper.ask("GET", f"?client={keeper.client.id}")).status_code == 200
    assert (await keeper.ask("GET", "?client=shared-keeper")).status_code == 404


async def test_changes_are_in_the_audit_log(keeper: Keeper) -> None:
    made = await keeper.create()
    await keeper.ask("DELETE", f"/{made['id']}")
    entries = (await keeper.grove.http.get(f"{keeper.client.path}/audit", headers=keeper.client.admin)).json()["data"]
    told = {entry["action"]: entry["detail"] for entry in entries}
    assert told["schema.create"]["name"] == "shop"
    assert "schema.delete" in told


async def test_the_json_schema_holds_for_what_ingest_takes(keeper: Keeper) -> None:
    made = await keeper.create()
    answer = await keeper.ask("GET", f"/{made['id']}/json-schema", key="server")
    assert answer.headers["content-type"].startswith("application/schema+json")
    Draft202012Validator.check_schema(answer.json())
    validator = Draft202012Validator(answer.json())
    for good in ({"total": 1}, {"total": None}, {"colour": 1}, None):
        assert validator.is_valid({"name": "purchase", "schema": "shop", "properties": good})
    for bad in (
        {"name": "refund"},
        {"name": "purchase", "properties": {"total": "1"}},
        {"name": "purchase", "schema": "x"},
    ):
        assert not validator.is_valid(bad)


async def test_the_types_are_typescript(keeper: Keeper) -> None:
    made = await keeper.create()
    answer = await keeper.ask("GET", f"/{made['id']}/types.ts", key="server")
    assert answer.headers["content-type"] == "application/typescript; charset=utf-8"
    assert '    "paid_at"?: string | null;\n' in answer.text
    assert "export interface ShopEvents {" in answer.text


async def test_the_starter_dashboard_answers_from_the_views(keeper: Keeper) -> None:
    made = await keeper.create()
    await keeper.send(properties={"order_id": "o-1", "total": 40})
    await keeper.send(properties={"order_id": "o-2", "total": 2})
    uid = f"schema-{made['id'].replace('-', '')[:16]}"
    path = f"/{keeper.client.id}/dashboards/{uid}/panels"

    async def panel(number: int) -> dict[str, Any]:
        answer = await keeper.grove.http.get(f"{path}/{number}", headers=keeper.client.server)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    counts = {each["name"]: each["text"] for each in (await panel(1))["values"]}
    assert counts == {"purchase": "2", "cart opened": "0"}
    assert (await panel(2))["view"] == "figure"
    latest = await panel(3)
    assert [row[1] for row in latest["rows"]] == ["purchase", "purchase"]
    assert (await panel(4))["view"] == "figure"
    sums = {each["name"]: each["text"] for each in (await panel(5))["values"]}
    assert (sums["Sum"], sums["Most"]) == ("42", "40")
    await keeper.rows("DROP VIEW {schema}.s_shop_purchase")  # as a change does, of which this process has not heard
    assert (await keeper.grove.http.get(f"{path}/1", headers=keeper.client.server)).status_code == 404
    await keeper.ask("DELETE", f"/{made['id']}")
    gone = await keeper.grove.http.get(f"{path}/1", headers=keeper.client.server)
    assert gone.status_code == 404
