"""A visitor of the demo's shop and portfolio in a real browser: what was done there is stored, and no more."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, Response, ViewportSize

from app.demo.api import open_api
from app.demo.sites.opening import OpenSite, open_sites, serve_sites
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from tests.support.chromium import PATIENCE_MS, needs_chromium, open_chromium
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in
from tests.support.waiting import until
from tests.support.web import is_ready, web_process

pytestmark = needs_chromium
# So tall that nothing is scrolled but on purpose.
TALL, LOW = ViewportSize(width=1280, height=4000), ViewportSize(width=1280, height=700)
PRIVATE = "ana@maple.example"
WITHIN_S = 30
LONGER_THAN_A_BATCH_WAITS_MS = 1200
# Breaches of a page's policy are told where the test hears them.
TELL_BREACHES = """addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
    console.error(`breach: ${violatedDirective} by ${blockedURI}`))"""
REFUSALS = {
    "dnt": "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})",
    "gpc": "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})",
}
KEPT = "() => [localStorage, sessionStorage].flatMap(Object.keys).filter((key) => key.startsWith('grove'))"
EVENTS = "SELECT * FROM {schema}.events ORDER BY occurred_at, event_id"
AT_THE_SHOP = {
    "page_view": 8, "web_vitals": 8, "click": 9, "scroll_depth": 4, "form_submit": 2, "error": 1, "product_view": 1,
    "add_to_cart": 2, "checkout_start": 1, "purchase": 1, "external_link_click": 1,
}  # fmt: skip
AT_THE_STUDIO = {
    "page_view": 6, "section_view": 5, "project_click": 1, "form_submit": 1, "external_link_click": 1, "web_vitals": 1,
}  # fmt: skip
PAID_FOR = {
    "count": 1, "sessions": 1, "rate": 100.0, "revenue": [{"currency": "USD", "orders": 1, "amount": 193.5}],
}  # fmt: skip


class Place:
    """A client, its site, and what of it was stored."""

    def __init__(self, grove: Grove, client: MadeClient, schema: str, opened: OpenSite) -> None:
        self.url = opened.url
        self._tag = opened.tag
        self._grove = grove
        self._client = client
        self._schema = schema

    async def stored(self) -> list[dict[str, Any]]:
        """List the events in their order."""
        rows = await fetch_in(self._grove.settings.main_url, self._schema, EVENTS)
        return [{**row, "properties": msgspec.json.decode(row["properties"])} for row in rows]

    async def named(self, name: str) -> list[dict[str, Any]]:
        """List the properties of the events of a name."""
        return [event["properties"] for event in await self.stored() if event["name"] == name]

    async def counted(self) -> Counter[str]:
        """Count the events by name."""
        return Counter(event["name"] for event in await self.stored())

    async def expect(self, name: str, times: int = 1) -> None:
        """Wait until an event is stored so many times."""

        async def is_there() -> bool:
            return (await self.counted())[name] >= times

        await until(is_there, within_s=WITHIN_S)

    async def ask(self, path: str) -> dict[str, Any]:
        """Ask the API with the client's key."""
        answer = await self._grove.http.get(path.format(tag=self._tag.id), headers=self._client.server)
        assert answer.is_success, answer.text
        return dict(answer.json())


class Places:
    """The two sites."""

    def __init__(self, shop: Place, studio: Place) -> None:
        self.shop = shop
        self.studio = studio


class Visitor:
    """A tab with a wide and tall window, and what happened in it."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.breaches: list[str] = []
        self.faults: list[str] = []
        self.requests: list[Request] = []
        self.policies: list[str] = []
        page.on("console", lambda line: self.breaches.append(line.text) if "breach: " in line.text else None)
        page.on("pageerror", lambda error: self.faults.append(error.message))
        page.on("request", self._asked)
        page.on("response", self._answered)

    def _asked(self, request: Request) -> None:
        self.requests.append(request)

    def _answered(self, response: Response) -> None:
        if response.request.is_navigation_request():
            self.policies.append(response.headers["content-security-policy"])

    async def open(self, url: str) -> None:
        """Open a page, and wait for its tag."""
        await self.page.goto(url)
        await self.arrive(url)

    async def arrive(self, url: str) -> None:
        """Wait for a page that was gone to, and for its tag."""
        await self.page.wait_for_url(url)
        await self.page.wait_for_function("() => window.grove")

    async def fill(self, **fields: str) -> None:
        """Fill in fields by their ids."""
        for name, text in fields.items():
            await self.page.fill(f"#{name}", text)

    @property
    def sent(self) -> list[str]:
        """The addresses to which something was sent, but for what was handed to the browser when a page was left."""
        return [request.url for request in self.requests if request.method != "GET"]


@pytest.fixture(scope="module")
async def places(postgres: EmbeddedPostgres) -> AsyncIterator[Places]:
    """A server on a port, two clients, and their sites."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with open_grove(postgres.url, public_url=url, host="127.0.0.1", port=port) as grove, grove.worker():
        clients = [await grove.make_client(name) for name in ("cedar", "birch")]
        for client in clients:
            # A browser without a window counts as a bot.
            kept = await grove.http.patch(client.path, json={"visitors": {"bots": "keep"}}, headers=client.admin)
            assert kept.is_success, kept.text
        schemas = [(await grove.placement_of(client.id)).schema for client in clients]
        keys = {client.id: client.body["keys"]["admin"] for client in clients}
        with web_process(grove.settings, port=port), serve_sites() as servers:
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                await until(lambda: is_ready(http), within_s=30)
            async with open_api(url) as api:
                opened = await open_sites(api, keys, servers)
            yield Places(*(Place(grove, *given) for given in zip(clients, schemas, opened, strict=True)))


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """A browser."""
    async with open_chromium() as browser:
        yield browser


async def open_visitor(chromium: Browser, *scripts: str) -> Visitor:
    context = await chromium.new_context(viewport=TALL)
    context.set_default_timeout(PATIENCE_MS)
    for script in (TELL_BREACHES, *scripts):
        await context.add_init_script(script)
    return Visitor(context, await context.new_page())


@pytest.fixture(scope="module")
async def visitor(chromium: Browser, places: Places) -> AsyncIterator[Visitor]:
    """A visitor who has been at the shop, went on to the studio that made it, and came back."""
    visitor = await open_visitor(chromium)
    await look_around(visitor, places.shop)
    await fill_the_cart(visitor, places.shop)
    await pay(visitor, places.shop)
    await visitor.page.click("text=Birch Studio")
    await visitor.arrive(f"{places.studio.url}/")
    await look_at_the_work(visitor, places.studio)
    await visitor.page.click("main >> text=Cedar Goods")
    await visitor.arrive(f"{places.shop.url}/")
    await visitor.page.goto("about:blank")
    await places.shop.expect("web_vitals", AT_THE_SHOP["web_vitals"])
    await places.studio.expect("web_vitals")
    yield visitor
    await visitor.context.close()


async def look_around(visitor: Visitor, shop: Place) -> None:
    """Come by an advertisement, scroll, sign up for letters, break something, and choose a good."""
    page = visitor.page
    await visitor.open(f"{shop.url}/?utm_source=paper&email={PRIVATE}")
    await page.set_viewport_size(LOW)
    await page.evaluate("scrollTo({ top: 99999, behavior: 'instant' })")
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await page.set_viewport_size(TALL)
    await visitor.fill(email=PRIVATE)
    await page.select_option("#interest", "living")
    await visitor.page.click("#newsletter button")
    await visitor.page.click("summary")
    await visitor.page.click("#break")
    await visitor.page.click("[data-product-id=wool-throw] img")
    await visitor.arrive(f"{shop.url}/goods/wool-throw")


async def fill_the_cart(visitor: Visitor, shop: Place) -> None:
    """Take two, lose the network, take one more, go away, and come again when the network is back."""
    await visitor.fill(quantity="2")
    await visitor.page.click(".add-to-cart")
    await shop.expect("add_to_cart")
    await visitor.context.set_offline(True)
    await visitor.fill(quantity="1")
    async with visitor.page.expect_event("requestfailed"):
        await visitor.page.click(".add-to-cart")
    await visitor.page.goto("about:blank")  # what it sends on leaving may get through
    await visitor.context.set_offline(False)
    await visitor.open(f"{shop.url}/goods/wool-throw")
    await shop.expect("add_to_cart", 2)


async def pay(visitor: Visitor, shop: Place) -> None:
    """Check out, pay, and look at the thanks twice."""
    await visitor.page.click("text=Cart")
    await visitor.arrive(f"{shop.url}/cart")
    await visitor.page.click("text=Check out")
    await visitor.arrive(f"{shop.url}/checkout")
    await visitor.fill(name="Ana Silva", email=PRIVATE, address="Quay 1")
    await visitor.page.check("text=PayPal")
    await visitor.page.click("#order button")
    await visitor.arrive(f"{shop.url}/thanks")
    await visitor.page.reload()
    await visitor.arrive(f"{shop.url}/thanks")


async def look_at_the_work(visitor: Visitor, studio: Place) -> None:
    """Go through the one page with its own links and back, and write a message."""
    await studio.expect("section_view", 5)
    for selector, path in (
        (".project[data-project=lighthouse]", "/work/lighthouse"),
        (".next a:visible", "/work/harbour-museum"),
    ):
        await visitor.page.click(selector)
        await visitor.arrive(studio.url + path)
    await visitor.page.go_back()
    await visitor.arrive(f"{studio.url}/work/lighthouse")
    await visitor.page.click("nav >> text=Contact")
    await visitor.fill(name="Ana Silva", email=PRIVATE, message="A map.")
    await visitor.page.select_option("#kind", "book")
    await visitor.page.click("#contact button")
    await visitor.page.click("nav >> text=Work")
    await visitor.arrive(f"{studio.url}/#work")


async def test_exactly_what_a_visitor_does_is_stored(visitor: Visitor, places: Places) -> None:
    assert visitor.sent
    assert visitor.faults == ["The kettle boiled over"]
    assert await places.shop.counted() == AT_THE_SHOP
    assert await places.studio.counted() == AT_THE_STUDIO
    for place in (places.shop, places.studio):
        check = await place.ask("/api/adaptors/{tag}/check")
        # What was under way when a page was left is sent again by the next.
        assert check["outcomes"].keys() <= {"stored", "duplicate"}
        assert PRIVATE not in str(await place.stored())


@pytest.mark.usefixtures("visitor")
async def test_rules_without_code_read_what_elements_say_of_themselves(places: Places) -> None:
    throw = {"product_id": "wool-throw", "price": 64.5}
    assert await places.shop.named("product_view") == [throw]
    assert await places.shop.named("add_to_cart") == [throw | {"quantity": 2}, throw | {"quantity": 1}]
    assert await places.studio.named("project_click") == [{"project": "lighthouse"}]


@pytest.mark.usefixtures("visitor")
async def test_an_order_is_stored_once_with_its_money_and_its_items(places: Places) -> None:
    events = {event["name"]: event for event in await places.shop.stored()}
    paid = events["purchase"]
    assert (float(paid["amount"]), paid["currency"], paid["page_path"]) == (193.5, "USD", "/thanks")
    assert paid["properties"].pop("order_id").startswith("C")
    assert paid["properties"] == {
        "order_value": 193.5, "order_currency": "USD", "payment_method": "paypal",
        "items": [{"product_id": "wool-throw", "quantity": 3, "price": 64.5}],
    }  # fmt: skip
    assert (float(events["checkout_start"]["amount"]), events["checkout_start"]["properties"]["items"]) == (193.5, 3)


@pytest.mark.usefixtures("visitor")
async def test_forms_errors_and_links_tell_what_they_may(places: Places) -> None:
    assert await places.shop.named("form_submit") == [
        {"form": "newsletter", "values": {"interest": "living"}},
        {"form": "order", "values": {"payment_method": "paypal"}},
    ]
    assert await places.studio.named("form_submit") == [{"form": "contact", "values": {"kind": "book"}}]
    (error,) = await places.shop.named("error")
    assert (error["message"], error["source"]) == (
        "Uncaught Error: The kettle boiled over",
        f"{places.shop.url}/shop.js",
    )
    assert sorted(each["depth"] for each in await places.shop.named("scroll_depth")) == [25, 50, 75, 100]
    (there,), (back,) = [await place.named("external_link_click") for place in (places.shop, places.studio)]
    assert (there["href"], back["href"]) == (f"{places.studio.url}/", f"{places.shop.url}/")


@pytest.mark.usefixtures("visitor")
async def test_a_site_of_one_page_is_seen_page_by_page(places: Places) -> None:
    views = [event for event in await places.studio.stored() if event["name"] == "page_view"]
    paths = ["/", "/work/lighthouse", "/work/harbour-museum", "/work/lighthouse", "/contact", "/"]
    assert [view["page_path"] for view in views] == paths
    assert [view["page_title"] for view in views[:3]] == ["Birch Studio", "Lighthouse", "Harbour Museum"]
    came_from = [places.shop.url, *(places.studio.url + path for path in paths[:-1])]
    assert [view["referrer"].rstrip("/") for view in views] == [url.rstrip("/") for url in came_from]
    seen = {each["section"] for each in await places.studio.named("section_view")}
    assert seen == {"hero", "selected-work", "process", "clients", "footer"}


@pytest.mark.usefixtures("visitor")
async def test_the_summary_tells_the_same_figures(places: Places) -> None:
    # Both sites are on the host of this machine, so that a link from one to the other is within it.
    for place, counts, channel, ordered in (
        (places.shop, AT_THE_SHOP, "campaign", PAID_FOR),
        (places.studio, AT_THE_STUDIO, "internal", {"count": 0, "sessions": 0, "rate": 0.0, "revenue": []}),
    ):
        summary = await place.ask("/api/v1/analytics/summary")
        assert summary["events"] == sum(counts.values())
        assert summary["page_views"] == counts["page_view"]
        assert (summary["visitors"], summary["sessions"]) == (1, 1)
        assert summary["conversions"] == ordered
        assert [(each["name"], each["sessions"]) for each in summary["channels"]] == [(channel, 1)]
        assert summary["referrers"] == []
        views = Counter(event["page_path"] for event in await place.stored() if event["name"] == "page_view")
        assert {page["page"]: (page["views"], page["visitors"]) for page in summary["pages"]} == {
            page: (n, 1) for page, n in views.items()
        }


async def test_a_strict_policy_is_never_breached_and_nothing_leaves_this_machine(visitor: Visitor) -> None:
    assert visitor.breaches == []
    assert len(visitor.policies) == AT_THE_SHOP["page_view"] + 1
    assert all(policy.startswith("default-src 'none'; script-src 'self' http") for policy in visitor.policies)
    assert not any(re.search("unsafe|\\*|data:", policy) for policy in visitor.policies)
    assert {urlsplit(request.url).hostname for request in visitor.requests} == {"127.0.0.1"}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.usefixtures("visitor")
async def test_of_whoever_asks_not_to_be_tracked_nothing_is_sent(
    chromium: Browser, places: Places, refusal: str
) -> None:
    refusing = await open_visitor(chromium, refusal)
    await refusing.open(f"{places.shop.url}/goods/oak-stool")
    await refusing.page.click(".add-to-cart")
    await refusing.page.click("summary")
    await refusing.page.click("#break")
    await pay_unseen(refusing, places.shop)
    await refusing.page.click("text=Birch Studio")
    await refusing.arrive(f"{places.studio.url}/")
    await refusing.page.click(".project >> nth=0")
    await refusing.page.wait_for_timeout(LONGER_THAN_A_BATCH_WAITS_MS)
    assert await refusing.page.evaluate(KEPT) == []
    await refusing.page.goto("about:blank")
    await refusing.context.close()

    assert refusing.sent == []
    assert refusing.breaches == []
    assert await places.shop.counted() == AT_THE_SHOP
    assert await places.studio.counted() == AT_THE_STUDIO


async def pay_unseen(visitor: Visitor, shop: Place) -> None:
    """Pay for what is in the cart."""
    await visitor.open(f"{shop.url}/checkout")
    await visitor.fill(name="Ana Silva", email=PRIVATE, address="Quay 1")
    await visitor.page.click("#order button")
    await visitor.arrive(f"{shop.url}/thanks")
    assert await visitor.page.evaluate(KEPT) == []


async def test_what_a_policy_does_not_allow_would_have_been_noticed(chromium: Browser, places: Places) -> None:
    visitor = await open_visitor(chromium, REFUSALS["dnt"])
    await visitor.open(f"{places.studio.url}/contact")
    async with visitor.page.expect_console_message(lambda line: "breach: script-src" in line.text):
        await visitor.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), { textContent: 'taken = 1' }))"
        )
    assert await visitor.page.evaluate("typeof taken") == "undefined"
    assert len(visitor.breaches) == 1
    await visitor.context.close()
