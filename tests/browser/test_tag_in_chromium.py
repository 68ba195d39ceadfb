"""A site that carries nothing but an adaptor's tag, under a policy that allows nothing else, in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Request, Route

from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from tests.support.chromium import needs_chromium, open_chromium
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in
from tests.support.loopback import Answer, Call, serve
from tests.support.waiting import until
from tests.support.web import is_ready, web_process

pytestmark = needs_chromium
SHOP = {"name": "shop", "properties": {"product_view": {"product_id": "string", "price": "number", "sold": "boolean"}}}
CARD = '<div class="product-card" data-product-id="p-1" data-price="9.5" data-sold="false"><b id="title">Pot</b></div>'
PAGE = '<!doctype html><html><head><meta charset="utf-8"><title>Shop</title>{0}</head><body>{1}</body></html>'
# A browser that runs by itself says so, and would be taken for a bot.
VISITOR = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36"
POLICY = "default-src 'none'; script-src {0}; connect-src {0}; img-src 'self'"


class Shop:
    """A client, its site, and what of it was stored."""

    def __init__(self, grove: Grove, client: MadeClient, url: str) -> None:
        self.grove = grove
        self.client = client
        self.url = url
        self.site = ""
        self.snippet = ""

    async def answer(self, call: Call) -> Answer | None:
        """Serve the site."""
        if call.path != "/":  # an icon, say
            return Answer(200, content=b"")
        headers = {"content-security-policy": POLICY.format(self.url)}
        return Answer(200, page=PAGE.format(self.snippet, CARD), headers=headers)

    async def make(self, path: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Make something of the client's."""
        headers = self.client.admin | {"Prefer": "wait=30"}
        answer = await self.grove.http.post(path, json=wanted, headers=headers)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def stored(self) -> dict[str, Any]:
        """List the events by name; there is one of each."""
        schema = (await self.grove.placement_of(self.client.id)).schema
        rows = await fetch_in(self.grove.settings.main_url, schema, "SELECT * FROM {schema}.events")
        assert len({row["name"] for row in rows}) == len(rows)
        return {row["name"]: row for row in rows}


@pytest.fixture
async def shop(postgres: EmbeddedPostgres) -> AsyncIterator[Shop]:
    """A server on a port, and a site elsewhere."""
    port = free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    async with open_grove(postgres.url, public_url=url, host="127.0.0.1", port=port) as grove, grove.worker():
        shop = Shop(grove, await grove.make_client("maple"), url)
        with web_process(grove.settings, port=port):
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                await until(lambda: is_ready(http), within_s=30)
            async with serve(shop.answer) as shop.site:
                yield shop


async def test_a_tag_records_by_rules_and_by_the_sites_own_script_under_a_strict_policy(shop: Shop) -> None:
    schema = await shop.make("/api/schemas", SHOP)
    rules = {"track_clicks": False, "selectors": [{"selector": ".product-card", "event": "product_view"}]}
    adaptor = await shop.make(
        "/api/adaptors",
        {
            "name": "shop", "website_url": shop.site, "schema_id": schema["id"], "tracking_rules": rules,
            "script": "track('greeting', {answer: 42})",
        },
    )  # fmt: skip
    shop.snippet = adaptor["snippet"]
    faults: list[str] = []
    async with open_chromium() as chromium:
        page = await chromium.new_page(user_agent=VISITOR)
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        async with page.expect_response("**/*.script.js*"):
            await page.goto(f"{shop.site}/")
        await page.wait_for_load_state("networkidle")
        await page.click("#title")

        async def is_all_there() -> bool:
            return {"page_view", "greeting", "product_view"} <= (await shop.stored()).keys()

        await until(is_all_there, within_s=20)
    assert faults == []
    stored = await shop.stored()
    assert stored["greeting"]["properties"] == '{"answer": 42}'
    assert stored["greeting"]["schema_name"] is None
    assert (stored["product_view"]["schema_name"], stored["product_view"]["schema_version"]) == ("shop", 1)
    place = (await shop.grove.placement_of(shop.client.id)).schema
    (viewed,) = await fetch_in(shop.grove.settings.main_url, place, "SELECT * FROM {schema}.s_shop_product_view")
    assert (viewed["product_id"], float(viewed["price"]), viewed["sold"]) == ("p-1", 9.5, False)
    check = await shop.grove.http.get(f"/api/adaptors/{adaptor['id']}/check", headers=shop.client.server)
    assert check.json()["sending"]
    assert {each["name"] for each in check.json()["events"]} >= {"page_view", "greeting", "product_view"}


async def test_each_of_two_tags_sends_what_its_own_script_says_by_its_own_key(shop: Shop) -> None:
    for name in ("first", "second"):
        wanted = {"name": name, "website_url": shop.site, "script": f"track('{name}', {{}})"}
        shop.snippet += (await shop.make("/api/adaptors", wanted))["snippet"].replace("async ", "")
    keys: dict[str, str] = {}

    def note(request: Request) -> None:
        for event in request.post_data_json or ():
            keys[event["name"]] = request.url.partition("key=")[2]

    async with open_chromium() as chromium:
        page = await chromium.new_page(user_agent=VISITOR)
        page.on("request", note)
        # Both tags are there before the scripts of either.
        both = asyncio.Event()
        page.on("domcontentloaded", lambda _page: both.set())

        async def hold(route: Route) -> None:
            await both.wait()
            await route.continue_()

        await page.route("**/*.script.js*", hold)
        await page.goto(f"{shop.site}/")

        async def are_both_sent() -> bool:
            return {"first", "second"} <= keys.keys()

        await until(are_both_sent, within_s=20)
        last = await page.evaluate("grove.options.apiKey")
    assert keys["second"] == last != keys["first"]


async def test_a_page_of_our_own_cannot_load_a_sites_script(shop: Shop) -> None:
    adaptor = await shop.make(
        "/api/adaptors", {"name": "shop", "website_url": shop.site, "script": "document.title = 'taken'"}
    )
    source = f"{shop.url}/tag/{adaptor['container_id']}.script.js"
    load = """(source) => new Promise((done) => {
        const script = document.createElement("script");
        script.onload = () => done("loaded");
        script.onerror = () => done("refused");
        script.src = source;
        document.documentElement.append(script);
    })"""
    async with open_chromium() as chromium:
        page = await chromium.new_page()
        await page.goto(f"{shop.url}/health/live")
        assert await page.evaluate(load, source) == "refused"
        assert await page.title() != "taken"
