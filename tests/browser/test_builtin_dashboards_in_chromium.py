"""The dashboards that need no Grafana, in a real browser: drawn, and drawn anew by choice and by themselves."""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import Page, Request

from app.embedded.postgres import EmbeddedPostgres
from tests.support.browser import PASSWORD
from tests.support.chromium import PATIENCE_MS, needs_chromium, open_chromium
from tests.support.site import Site, open_site
from tests.support.waiting import until

pytestmark = needs_chromium
BOARD = "dashboards/user-events"
# A panel that draws lines over time, per bucket.
LINES = 5
DRAWN = """() => document.getElementById("drawn").textContent !== ""
    && [...document.querySelectorAll("[data-panel]")].every((panel) => panel.ariaBusy === "false")"""
# What the library was given, and how many lines of it are on the screen.
TRACES = """(id) => {
    const plot = document.querySelector(`[data-panel="${id}"] .js-plotly-plot`);
    return plot.data.map((trace) => ({ name: trace.name, x: [...trace.x], y: [...trace.y] }));
}"""


class Board:
    """An opened dashboard, and what it asked for."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.home = f"{site.url}/{site.maple.id}/"
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._asked)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)

    def _asked(self, request: Request) -> None:
        self.asked.append(request.url)

    def queries(self, panel: int) -> list[dict[str, list[str]]]:
        """List what a panel was asked for with."""
        urls = [urlsplit(url) for url in self.asked]
        return [parse_qs(url.query) for url in urls if url.path.endswith(f"/panels/{panel}")]

    async def traces(self) -> list[dict[str, Any]]:
        """Return the lines that are drawn."""
        traces: list[dict[str, Any]] = await self.page.evaluate(TRACES, LINES)
        return traces

    async def choose(self, name: str, value: str) -> None:
        """Choose in one of the fields and wait until all is drawn anew."""
        await self.page.evaluate("document.getElementById('drawn').textContent = ''")
        await self.page.select_option(f"select[name={name}]", value)
        await self.page.wait_for_function(DRAWN)


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedPostgres) -> AsyncIterator[Site]:
    """A server with two clients and no Grafana, that has counted all sessions."""
    async with open_site(postgres.url, None) as running:
        async with aclosing(await running.log_in(running.maple)) as http:

            async def is_counted() -> bool:
                return str(running.maple.sessions) in (await view_of(http, 1, {}))["values"][0]["text"]

            await until(is_counted, within_s=30)
        yield running


@pytest.fixture
async def staff(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A session that asks as the page's script does."""
    async with aclosing(await site.log_in(site.maple)) as http:
        yield http


@pytest.fixture
async def board(site: Site) -> AsyncIterator[Board]:
    """The dashboard, drawn, with a clock that can be put forward."""
    async with open_chromium() as chromium:
        page = await chromium.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        opened = Board(page, site)
        await page.clock.install()
        await page.goto(f"{opened.home}login?next=/{site.maple.id}/{BOARD}")
        await page.fill("#email", site.maple.viewer)
        await page.fill("#password", PASSWORD)
        await page.click("form button")
        await page.wait_for_url(f"{opened.home}{BOARD}")
        await page.wait_for_function(DRAWN)
        yield opened


async def view_of(http: httpx.AsyncClient, panel: int, query: dict[str, str]) -> dict[str, Any]:
    """Ask what a panel shows."""
    answer = await http.get(f"/maple/{BOARD}/panels/{panel}", params=query)
    assert answer.is_success, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def figure_of(http: httpx.AsyncClient, query: dict[str, str]) -> list[dict[str, Any]]:
    """Ask for the lines that are to be drawn."""
    data = (await view_of(http, LINES, query))["figure"]["data"]
    return [{name: trace[name] for name in ("name", "x", "y")} for trace in data]


async def test_every_panel_is_drawn_as_the_api_answers(board: Board, site: Site, staff: httpx.AsyncClient) -> None:
    page = board.page
    panels = await page.eval_on_selector_all("[data-panel]", "all => all.map((panel) => Number(panel.dataset.panel))")
    views = {panel: (await view_of(staff, panel, {}))["view"] for panel in panels}
    parts = {"figure": ".js-plotly-plot svg.main-svg", "values": "dl.values", "table": "table", "empty": ".message"}
    assert list(views.values()).count("figure") >= 4, views
    for panel, view in views.items():
        assert await page.locator(f"[data-panel='{panel}'] {parts[view]}").first.is_visible(), (panel, view)
    assert await page.locator(".message.bad").count() == 0
    assert re.search(rf"Sessions\s+{site.maple.sessions}\b", await page.inner_text("[data-panel='1']"))
    drawn = await board.traces()
    assert drawn == await figure_of(staff, {})
    assert sum(drawn[0]["y"]) == site.maple.sessions
    lines = page.locator(f"[data-panel='{LINES}'] .cartesianlayer .trace")
    assert await lines.count() == len(drawn)
    assert [url for url in board.asked if not url.startswith(board.home)] == []
    assert board.errors == []


async def test_another_period_and_bucket_are_asked_for_drawn_and_kept(board: Board, staff: httpx.AsyncClient) -> None:
    before = await board.traces()
    await board.choose("range", "now-6d/d now")
    week = {"from": "now-6d/d", "to": "now"}
    assert await board.traces() == await figure_of(staff, week | {"var-bucket": "day"}) != before
    await board.choose("var-bucket", "hour")
    chosen = week | {"var-bucket": "hour"}
    assert await board.traces() == await figure_of(staff, chosen) != before
    assert board.queries(LINES)[-1] == {name: [value] for name, value in chosen.items()}
    assert parse_qs(urlsplit(board.page.url).query) == board.queries(LINES)[-1]
    await board.page.reload()
    await board.page.wait_for_function(DRAWN)
    assert await board.page.input_value("select[name=var-bucket]") == "hour"
    assert await board.traces() == await figure_of(staff, chosen)
    assert board.errors == []


async def test_a_dashboard_asks_again_by_itself_when_that_is_chosen(board: Board) -> None:
    page = board.page
    await page.clock.fast_forward("02:00")
    asked = len(board.queries(LINES))
    await board.choose("refresh", "30s")
    assert len(board.queries(LINES)) == asked + 1
    for _ in range(2):
        await page.evaluate("document.getElementById('drawn').textContent = ''")
        async with page.expect_request(re.compile(rf"/panels/{LINES}\?")):
            await page.clock.fast_forward("00:31")
        await page.wait_for_function(DRAWN)
    assert len(board.queries(LINES)) == asked + 3
    await board.choose("refresh", "")
    await page.clock.fast_forward("02:00")
    assert len(board.queries(LINES)) == asked + 4
    assert board.errors == []
