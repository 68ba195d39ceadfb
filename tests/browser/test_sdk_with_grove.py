"""A visit to a shop that carries the SDK, from the browser to the client's tables."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from tenants.ids import quote
from tests.support.chromium import needs_chromium, open_chromium
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.tracked import Pages, open_pages
from tests.support.waiting import until
from tests.support.web import is_ready, web_process

pytestmark = needs_chromium
EVENTS = """SELECT name, page_path, session_id, visitor_id, utm_source, amount::float8 AS amount, currency, category
    FROM {schema}.events ORDER BY occurred_at, event_id"""


class Shop:
    """A client's site, and a look at what was stored of it."""

    def __init__(self, grove: Grove, client: MadeClient, pages: Pages) -> None:
        self.grove = grove
        self.client = client
        self.pages = pages

    async def stored(self) -> list[asyncpg.Record]:
        """List the client's events in their order."""
        placement = await self.grove.placement_of(self.client.id)
        connection = await asyncpg.connect(self.grove.settings.main_url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(EVENTS.format(schema=quote(placement.schema)))
            return rows
        finally:
            await connection.close()


@pytest.fixture
async def shop(postgres: EmbeddedPostgres) -> AsyncIterator[Shop]:
    """A server on a port, and a site elsewhere whose key is bound to it."""
    port = free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    async with open_grove(postgres.url, public_url=url, host="127.0.0.1", port=port) as grove, grove.worker():
        client = await grove.make_client("maple")
        # A browser without a window counts as a bot.
        kept = await grove.http.patch(client.path, json={"visitors": {"bots": "keep"}}, headers=client.admin)
        assert kept.status_code == 200, kept.text
        with web_process(grove.settings, port=port):
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                await until(lambda: is_ready(http), within_s=30)
            async with open_pages(url, "") as pages:
                wanted = {"name": "shop", "kind": "browser", "origins": [pages.url]}
                made = await grove.http.post(f"{client.path}/keys", json=wanted, headers=client.admin)
                assert made.status_code == 201, made.text
                pages.key = made.json()["key"]
                yield Shop(grove, client, pages)


async def test_a_visit_is_stored_event_by_event(shop: Shop) -> None:
    shop.pages.add("/thanks", privacy="balanced")
    home = shop.pages.add(
        "/", '<button id="buy">Buy</button>', script="/analytics-sdk.js", privacy="balanced",
        api_url=f"{shop.pages.server}/api/v1/analytics",
    )  # fmt: skip
    async with open_chromium() as chromium:
        page = await chromium.new_page()
        async with page.expect_response("**/sdk-more.js"):
            await page.goto(f"{home}?utm_source=paper")
        await page.wait_for_load_state("networkidle")
        await page.evaluate("history.pushState({}, '', '/goods/1')")
        await page.wait_for_timeout(50)
        await page.click("#buy")
        order = {"order_id": "o-1", "order_value": 19.9, "order_currency": "EUR"}
        await page.evaluate("(order) => grove.trackEcommerce('purchase', order)", order)
        await page.goto(f"{shop.pages.url}/thanks")

        async def is_all_there() -> bool:
            return [row["page_path"] for row in await shop.stored()].count("/thanks") == 1

        await until(is_all_there, within_s=20)

        # The key is not for this origin: the page gets to know that, and does not wait to send the same again.
        stranger = await chromium.new_page()
        async with stranger.expect_response("**/api/v1/events?*") as answer:
            await stranger.goto(shop.pages.url.replace("127.0.0.1", "localhost") + "/thanks")
        assert (await answer.value).status == 403
        await stranger.wait_for_function("!Object.keys(localStorage).some((key) => key.startsWith('grove:'))")

    rows = await shop.stored()
    assert [(row["name"], row["page_path"]) for row in rows] == [
        ("page_view", "/"),
        ("page_view", "/goods/1"),
        ("click", "/goods/1"),
        ("purchase", "/goods/1"),
        ("web_vitals", "/goods/1"),
        ("page_view", "/thanks"),
    ]
    assert len({row["session_id"] for row in rows}) == 1
    assert rows[0]["session_id"] is not None
    assert rows[0]["utm_source"] == "paper"
    assert (rows[3]["amount"], rows[3]["currency"], rows[3]["category"]) == (19.9, "EUR", "ecommerce")
    (visitor,) = {row["visitor_id"] for row in rows}
    assert visitor.startswith("~")  # the page says none, so it is one of the server's, for today
