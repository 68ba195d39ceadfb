"""Staff of two clients in a real browser: login, home, dashboards, each under its own name, below its own paths.

Once for many clients on one host, and once on a client's own host, as production should have it.
"""

import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from PIL import Image
from playwright.async_api import Browser, Page, Request, Response, Route

from app.embedded.postgres import EmbeddedPostgres
from provisioning.logos import refresh_logos
from tenants.clock import utc_now
from tenants.control import ControlPlane
from tests.support.browser import PASSWORD
from tests.support.chromium import PATIENCE_MS, needs_chromium, open_chromium
from tests.support.grafana import Target
from tests.support.loopback import Answer
from tests.support.site import Site, Tenant, open_site
from tests.support.world import World, open_world

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
# What Grafana's pages ask for although the gateway does not let it through.
BLOCKED = frozenset({"/api/frontend-metrics", "/api/prometheus/grafana/api/v1/rules", "/api/short-urls"})
# What those of an editor ask for beside that: the list of sources, and that others learn of what is being changed.
BLOCKED_EDITING = frozenset({"/api/datasources", "/api/live/publish"})
COLOURS = {"maple": "rgb(194, 65, 12)", "oak": "rgb(29, 78, 216)"}
# What opens menus and dialogues, and leads through them; not every version of Grafana has them all.
LABELS = (
    "Share dashboard or panel", "Tab Link", "Tab Export", "Close dialogue", "Time range selected", "Auto refresh",
    "Refresh dashboard", "Mark as favorite",
)  # fmt: skip
ENOUGH_LABELS = 6
LOGO_COLOUR = (0, 160, 80, 255)
# All that is to be seen and read aloud, also in what is not on the screen at this moment.
SHOWN = """() => {
    const names = ["alt", "title", "aria-label", "placeholder", "aria-description"];
    const told = [...document.querySelectorAll("[alt],[title],[aria-label],[placeholder],[aria-description]")];
    const texts = told.flatMap((element) => names.map((name) => element.getAttribute(name) || ""));
    return [document.title, document.body.innerText, ...texts].join("\\n");
}"""
pytestmark = [pytest.mark.grafana, needs_chromium]


class Way(msgspec.Struct, frozen=True):
    """How a client is reached: `home` is what all its addresses begin with."""

    tenant: Tenant
    other: Tenant
    home: str

    @property
    def path(self) -> str:
        """What all its paths begin with."""
        return urlsplit(self.home).path

    @property
    def grafana(self) -> str:
        """What addresses of its Grafana begin with."""
        return f"{self.home}grafana/"


class Watched:
    """A page, and what it asked for and was told."""

    def __init__(self, page: Page, way: Way) -> None:
        self.page = page
        self.way = way
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.sockets: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("websocket", lambda socket: self.sockets.append(socket.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if "Content Security" in line.text else None)

    def _asked(self, request: Request) -> None:
        self.requests.append(request)

    def _answered(self, response: Response) -> None:
        self.responses.append(response)

    def strays(self) -> list[str]:
        """List the addresses that are not below the client's own."""
        home = self.way.home
        homes = (home, home.replace("http", "ws", 1), "data:", f"blob:{urlsplit(home)._replace(path='').geturl()}")
        urls = [*(request.url for request in self.requests), *self.sockets]
        return [url for url in urls if not url.startswith(homes)]

    def refusals(self) -> list[str]:
        """List the answers of 400 and more that are not refused on purpose."""
        refused = [answer for answer in self.responses if answer.status >= 400]
        paths = [urlsplit(answer.url).path.removeprefix(f"{self.way.path}grafana") for answer in refused]
        return [path for path in paths if path not in BLOCKED]

    async def open(self, path: str) -> None:
        """Open a page of the client's and wait until nothing moves."""
        await self.page.goto(self.way.home + path)
        await self.page.wait_for_load_state("networkidle")

    async def log_in(self, email: str | None = None) -> None:
        """Come to the dashboards as anybody does: by the login."""
        page, way = self.page, self.way
        await page.goto(way.grafana)
        assert page.url.startswith(f"{way.home}login")
        await self.assert_own_name()
        await page.fill("#email", email or way.tenant.viewer)
        await page.fill("#password", PASSWORD)
        await page.click("form button")
        await page.wait_for_url(f"{way.grafana}d/user-events/**")
        await page.get_by_text("At a glance").wait_for()

    async def assert_own_name(self) -> str:
        """Check that what is to be seen and read aloud names the client, and neither Grafana nor another client."""
        assert self.way.tenant.name in await self.page.title()
        shown: str = await self.page.evaluate(SHOWN)
        others = rf"grafana|grove|\b{self.way.other.id}\b"
        assert not re.search(others, shown, re.IGNORECASE), shown
        return shown

    async def assert_own_pictures(self) -> None:
        """Check that no picture of Grafana's own was loaded or is named as the page's icon."""
        named = [answer for answer in self.responses if re.search(r"grafana_|/fav32|apple-touch", answer.url)]
        # A redirection that is kept for some minutes is told as the answer that it leads to.
        assert [answer.url for answer in named if answer.status != 302 and "sandbox" not in _policy(answer)] == []
        icons = await self.page.eval_on_selector_all("link[rel~=icon]", "found => found.map((icon) => icon.href)")
        assert icons
        assert all(icon.startswith(f"{self.way.home}assets/") for icon in icons), icons


def _policy(answer: Response) -> str:
    """Return the policy of an answer; a picture of our own pages has one that Grafana's has not."""
    return answer.headers.get("content-security-policy", "")


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    """The internet, where one client's logo is."""
    file = io.BytesIO()
    Image.new("RGB", (200, 80), LOGO_COLOUR[:3]).save(file, "PNG")
    async with open_world() as opened:
        opened.files["maple.example/logo.png"] = Answer(200, content=file.getvalue())
        yield opened


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedPostgres, the_real_grafana: Target, world: World) -> AsyncIterator[Site]:
    """A server with two clients, each with a domain that is proven, one with a logo, and a real Grafana."""
    async with open_site(postgres.url, the_real_grafana, witnesses=world.witnesses) as running:
        grove = running.grove
        for tenant in (running.maple, running.oak):
            domain = {"domain": f"figures.{tenant.id}.example"}
            assert (await grove.http.patch(tenant.client.path, json=domain, headers=grove.platform)).is_success
            path = f"{tenant.client.path}/domain/verify"
            proof = (await grove.http.post(path, headers=grove.platform)).json()
            world.records[proof["record"]] = [proof["value"]]
            assert (await grove.http.post(path, headers=grove.platform)).json()["proven"]
        logo = {"branding": {"logoUrl": "https://maple.example/logo.png"}}
        changed = await grove.http.patch(running.maple.client.path, json=logo, headers=grove.platform)
        assert changed.is_success, changed.text
        control = ControlPlane(grove.settings.main_url, size=1)
        assert await refresh_logos(control, world.outside, lambda: utc_now() + timedelta(hours=2)) == 1
        await control.close()
        yield running


@pytest.fixture(scope="module")
async def chromium(site: Site) -> AsyncIterator[Browser]:
    """A browser for which every `.example` is this server."""
    own = [f"http://figures.{tenant.id}.example:{site.port}" for tenant in (site.maple, site.oak)]
    hosts = f"--host-resolver-rules=MAP *.example 127.0.0.1:{site.port}"
    async with open_chromium(hosts, f"--unsafely-treat-insecure-origin-as-secure={','.join(own)}") as browser:
        yield browser


def way_of(site: Site, tenant: Tenant, mode: str) -> Way:
    """Reach a client."""
    other = site.oak if tenant is site.maple else site.maple
    own = f"http://figures.{tenant.id}.example:{site.port}/"
    return Way(tenant, other, own if mode == "own host" else f"{site.url}/{tenant.id}/")


@pytest.fixture(params=["one host", "own host"])
async def watched(request: pytest.FixtureRequest, site: Site, chromium: Browser) -> AsyncIterator[Watched]:
    """A page of a browser that has never been at the first client's."""
    async for page in _pages(chromium, way_of(site, site.maple, request.param)):
        yield page


async def _pages(chromium: Browser, way: Way) -> AsyncIterator[Watched]:
    context = await chromium.new_context(viewport={"width": 1400, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield Watched(page, way)
    await context.close()


async def assert_own_figures(watched: Watched) -> None:
    """Check that the sessions that were sent are those that are shown."""
    sessions = watched.way.tenant.sessions
    await watched.page.wait_for_function(f"() => /Sessions\\s+{sessions}\\b/.test(document.body.innerText)")
    answers = [answer for answer in watched.responses if answer.url.endswith("/api/ds/query")]
    assert answers
    assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize("mode", ["one host", "own host"])
async def test_staff_of_each_client_see_their_own_figures_under_their_own_name(
    site: Site, chromium: Browser, mode: str
) -> None:
    for tenant in (site.maple, site.oak):
        async for watched in _pages(chromium, way_of(site, tenant, mode)):
            page = watched.page
            await watched.log_in()
            await assert_own_figures(watched)
            shown = await watched.assert_own_name()
            assert f"{watched.way.other.sessions} sessions" not in shown
            assert re.fullmatch(rf"User Events Analytics - .*{tenant.name}", await page.title())
            assert await page.evaluate("getComputedStyle(document.body).borderTopColor") == COLOURS[tenant.id]
            await watched.assert_own_pictures()
            ARTIFACTS.mkdir(exist_ok=True)
            await page.screenshot(path=ARTIFACTS / f"dashboard-{tenant.id}-{mode.replace(' ', '-')}.png")
            assert watched.strays() == []
            assert watched.refusals() == []
            assert watched.errors == []
            live = f"{watched.way.grafana}api/live/ws".replace("http", "ws", 1)
            assert live in watched.sockets


async def test_every_page_that_is_let_through_bears_the_clients_name_alone(watched: Watched) -> None:
    await watched.log_in()
    for path in (
        "grafana/",
        "grafana/dashboards",
        "grafana/dashboards?query=conv",
        "grafana/d/conversations",
        "grafana/d/conversations?kiosk",
        "grafana/d/nothing-like-this",
        "grafana/explore",
        "grafana/nothing",
        "",
        "logout",
    ):
        await watched.open(path)
        await watched.assert_own_name()
        await watched.assert_own_pictures()
    assert watched.strays() == []
    assert set(watched.refusals()) <= {"/api/dashboards/uid/nothing-like-this", "/explore", "/nothing"}
    assert watched.errors == []


async def test_menus_and_dialogues_name_nobody_else(watched: Watched) -> None:
    page = watched.page
    await watched.log_in()
    await assert_own_figures(watched)
    for key in ("?", "Escape", "d", "Escape"):
        await page.keyboard.press(key)
        await watched.assert_own_name()
    pressed = [label for label in LABELS if await press(watched, label)]
    assert len(pressed) >= ENOUGH_LABELS, pressed
    await page.locator("[data-testid*='Panel header'], .panel-title-container").first.click()
    await page.get_by_role("menu").first.wait_for()
    await watched.assert_own_name()
    assert watched.strays() == []


async def press(watched: Watched, label: str) -> bool:
    """Press what bears a label and check what then is shown; False where this version has nothing like it."""
    found = watched.page.locator(f'[aria-label^="{label}"]:visible')
    if await found.count() == 0:
        return False
    await found.first.click()
    await watched.assert_own_name()
    return True


async def test_sharing_offers_neither_a_snapshot_nor_a_short_address(watched: Watched) -> None:
    page = watched.page
    await watched.log_in()
    await page.get_by_label("Share dashboard or panel").click()
    await page.locator("#link-url-input").wait_for()
    shown = await page.get_by_role("dialog").inner_text()
    assert re.search(r"Link\s+Export\b", shown), shown
    assert not re.search("snapshot|shorten", shown, re.IGNORECASE), shown
    assert await page.locator("#link-url-input").input_value() != ""
    assert await page.locator("#share-shorten-url:visible").count() == 0


async def test_an_editor_opens_a_panel_under_the_clients_name_and_is_refused_nothing_else(watched: Watched) -> None:
    page = watched.page
    await watched.log_in(watched.way.tenant.editor)
    await assert_own_figures(watched)
    await watched.open("grafana/d/user-events?editPanel=1")
    await page.get_by_label("Search options").or_(page.get_by_placeholder("Search options")).first.wait_for()
    await watched.assert_own_name()
    await watched.assert_own_pictures()
    assert watched.strays() == []
    assert set(watched.refusals()) <= BLOCKED_EDITING


async def test_what_is_shown_while_loading_and_when_that_fails_names_nobody_else(watched: Watched) -> None:
    page = watched.page
    await watched.log_in()

    async def break_off(route: Route) -> None:
        await route.abort()

    await page.route("**/public/build/**", break_off)
    await page.goto(f"{watched.way.grafana}d/conversations")
    shown = await watched.assert_own_name()
    assert "Loading" in shown or "could not be loaded" in shown
    await page.evaluate("document.querySelector('.preloader')?.classList.add('preloader--done')")
    assert "could not be loaded" in await watched.assert_own_name()


async def test_messages_of_failure_name_nobody_else(watched: Watched) -> None:
    page = watched.page
    await watched.log_in()
    told: Any = {"message": "An error occurred within the plugin", "messageId": "plugin.downstreamError"}

    async def fail(route: Route) -> None:
        await route.fulfill(status=500, json=told)

    await page.route("**/api/ds/query", fail)
    await page.route("**/api/search*", fail)
    await watched.open("grafana/d/conversations")
    await watched.assert_own_name()
    await watched.open("grafana/dashboards")
    await watched.assert_own_name()


async def test_the_menu_leads_out_through_our_own_pages(watched: Watched) -> None:
    page, way = watched.page, watched.way
    await watched.log_in()
    await page.get_by_label("Ana Silva", exact=True).hover()
    await page.get_by_text("Sign out").click()
    await page.wait_for_url(f"{way.home}logout")
    await watched.assert_own_name()
    await page.click("main form button")
    await page.wait_for_url(f"{way.home}login?done=out")
    await page.goto(f"{way.grafana}d/user-events?from=now-2d")
    assert page.url == f"{way.home}login?next={way.path}grafana/d/user-events%3Ffrom%3Dnow-2d"


async def test_the_logo_is_the_clients_own_below_its_own_paths(watched: Watched, site: Site) -> None:
    page = watched.page
    await page.goto(f"{watched.way.home}login")
    drawn = await page.eval_on_selector("header img", "image => [image.naturalWidth, image.naturalHeight, image.src]")
    assert drawn[:2] == [200, 80]
    assert drawn[2].startswith(f"{watched.way.home}assets/logo.png?v=")
    await watched.log_in()
    logo = page.locator('img[src="public/img/grafana_icon.svg"]').first
    assert await logo.get_attribute("alt") == site.maple.name
    icons = [answer for answer in watched.responses if urlsplit(answer.url).path.endswith("/assets/icon.png")]
    pixel = Image.open(io.BytesIO(await icons[-1].body())).convert("RGBA").getpixel((32, 32))
    assert pixel == LOGO_COLOUR
    assert await logo.evaluate("image => image.naturalWidth") == 64


async def test_scripts_of_one_clients_page_reach_no_other_clients_paths(watched: Watched, site: Site) -> None:
    page = watched.page
    await watched.log_in()
    for url in (f"{site.url}/oak/grafana/api/search", f"http://figures.oak.example:{site.port}/grafana/api/search"):
        reached = await page.evaluate(
            """async (url) => {
                try { return (await fetch(url)).status } catch { return "refused by the browser" }
            }""",
            url,
        )
        assert reached == "refused by the browser"
    assert watched.strays() == []


async def test_a_session_of_one_host_is_none_on_the_other(site: Site) -> None:
    cookie = await site.cookie(site.maple)
    async with httpx.AsyncClient(base_url=site.url, trust_env=False) as http:
        for host in ("figures.maple.example", "figures.oak.example"):
            headers = {"Host": f"{host}:{site.port}", "Cookie": cookie, "Accept": "application/json"}
            # Over plain HTTP, as here, the cookie's name is the same: its host is what keeps browsers from sending it.
            expected = {200} if "maple" in host else {401, 404}
            assert (await http.get("/grafana/api/search", headers=headers)).status_code in expected
