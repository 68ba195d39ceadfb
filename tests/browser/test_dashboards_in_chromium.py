"""Staff of a client in a real browser: login, home, dashboards, all under the client's name, and out again."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, Response, async_playwright

from app.embedded.postgres import EmbeddedPostgres
from tests.support.browser import PASSWORD
from tests.support.grafana import Target
from tests.support.site import Site, open_site

CHROMIUM = Path("/usr/bin/chromium")
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# What Grafana's pages ask for although the gateway does not let it through.
BLOCKED = frozenset({"/api/frontend-metrics", "/api/prometheus/grafana/api/v1/rules", "/api/short-urls"})
PATIENCE_MS = 30_000
pytestmark = [
    pytest.mark.grafana,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium; `make tools` installs it where that is possible"),
]


class Watched:
    """A page, and what it asked for and was told."""

    def __init__(self, page: Page) -> None:
        self.page = page
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

    def strays(self, origin: str, prefix: str) -> list[str]:
        """List the addresses that are not below the client's prefix."""
        own = urlsplit(origin).netloc
        urls = [urlsplit(url) for url in [*(request.url for request in self.requests), *self.sockets]]
        asked = [url for url in urls if url.scheme not in {"data", "blob"}]
        return [url.geturl() for url in asked if url.netloc != own or not url.path.startswith(prefix)]

    def refusals(self, prefix: str) -> list[str]:
        """List the answers of 400 and more that are not refused on purpose."""
        refused = [answer for answer in self.responses if answer.status >= 400]
        paths = [urlsplit(answer.url).path.removeprefix(f"{prefix}grafana") for answer in refused]
        return [path for path in paths if path not in BLOCKED]


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedPostgres, the_real_grafana: Target) -> AsyncIterator[Site]:
    """A server with two clients and a real Grafana."""
    async with open_site(postgres.url, the_real_grafana) as running:
        yield running


@pytest.fixture
async def watched(site: Site) -> AsyncIterator[Watched]:
    """A page of a browser that has never been here."""
    del site
    async with async_playwright() as tools:
        browser = await tools.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        yield Watched(page)
        await browser.close()


async def log_in(watched: Watched, site: Site) -> None:
    """Come to the dashboards as anybody does: by the login."""
    page = watched.page
    await page.goto(f"{site.url}/maple/grafana/")
    assert urlsplit(page.url).path == "/maple/login"
    await assert_own_name(page, "Maple Dental")
    await page.fill("#email", site.maple.viewer)
    await page.fill("#password", PASSWORD)
    await page.click("form button")
    await page.wait_for_url("**/maple/grafana/d/user-events/**")
    await page.get_by_text("At a glance").wait_for()


async def assert_own_name(page: Page, name: str) -> None:
    """Check that what is to be seen and read aloud names the client, and neither Grafana nor another client."""
    assert name in await page.title()
    shown = await page.evaluate(
        """() => {
            const names = ["alt", "title", "aria-label"];
            const told = [...document.querySelectorAll("[alt],[title],[aria-label]")];
            const texts = told.flatMap((element) => names.map((name) => element.getAttribute(name) || ""));
            return [document.title, document.body.innerText, ...texts].join("\\n");
        }"""
    )
    assert not re.search(r"grafana|grove|\boak\b", shown, re.IGNORECASE), shown


async def test_staff_see_their_own_figures_under_their_own_name(watched: Watched, site: Site) -> None:
    page = watched.page
    await log_in(watched, site)
    await page.wait_for_function(f"() => /Sessions\\s+{site.maple.sessions}\\b/.test(document.body.innerText)")
    await assert_own_name(page, "Maple Dental")
    logo = page.locator('img[src="public/img/grafana_icon.svg"]').first
    assert await logo.get_attribute("alt") == "Maple Dental"
    drawn = await (await page.request.get(f"{site.url}/maple/grafana/public/img/grafana_icon.svg")).text()
    assert ">M</text>" in drawn
    assert "#c2410c" in drawn
    assert await page.evaluate("getComputedStyle(document.body).borderTopColor") == "rgb(194, 65, 12)"
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / "dashboard.png")

    for path in ("dashboards", "d/conversations", "d/conversations?kiosk"):
        await page.goto(f"{site.url}/maple/grafana/{path}")
        await page.wait_for_load_state("networkidle")
        await assert_own_name(page, "Maple Dental")

    assert watched.strays(site.url, "/maple/") == []
    assert watched.refusals("/maple/") == []
    assert watched.errors == []
    assert any(url.endswith("/maple/grafana/api/live/ws") for url in watched.sockets)


async def test_the_menu_leads_out_through_our_own_pages(watched: Watched, site: Site) -> None:
    page = watched.page
    await log_in(watched, site)
    await page.goto(f"{site.url}/maple/grafana/logout")
    await page.click("main form button")
    await page.wait_for_url("**/maple/login?done=out")
    await page.goto(f"{site.url}/maple/grafana/d/user-events")
    assert urlsplit(page.url).path == "/maple/login"


async def test_scripts_of_one_clients_page_reach_no_other_clients_paths(watched: Watched, site: Site) -> None:
    page = watched.page
    await log_in(watched, site)
    reached = await page.evaluate(
        """async () => {
            try { return (await fetch("/oak/grafana/api/search")).status } catch { return "refused by the browser" }
        }"""
    )
    assert reached == "refused by the browser"
    assert watched.strays(site.url, "/maple/") == []
