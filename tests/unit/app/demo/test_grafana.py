"""The demo's look at Grafana goes red when a dashboard fails, a figure is wrong, or a neighbour gets in."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.demo.check import Walls, check_built_in
from app.demo.errors import DemoFailed
from app.demo.grafana import LocalGrafana, check_dashboards, check_neighbours, find_local, read_dashboard, read_panel
from app.demo.keys import Login
from app.demo.people import Visitor, make_password, open_visitor
from app.settings import Settings

Answer = Callable[[httpx.Request], httpx.Response]
TZ, BUCKET = ({"name": name, "current": {"value": value}} for name, value in (("tz", "UTC"), ("bucket", "day")))
PANEL = {
    "title": "At a glance",
    "targets": [{"rawSql": "SELECT '${tz}', '$bucket'", "refId": "A", "datasource": {"type": "postgres", "uid": "a"}}],
}
BOARD = {
    "panels": [{"type": "row"}, PANEL],
    "templating": {"list": [TZ, BUCKET]},
}


def visitor(answer: Answer) -> Visitor:
    """Look at a server that answers so."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://grove.test")
    return Visitor(http, "maple")


def grafana(result: dict[str, Any], *, boards: int = 1, sent: list[bytes] | None = None) -> Visitor:
    """Look at a Grafana whose panels answer so; `sent` takes down what they ask."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/maple/grafana")
        if path == "/api/search":
            return httpx.Response(200, json=[{"uid": f"board-{number}"} for number in range(boards)])
        if path.startswith("/api/dashboards/uid/"):
            return httpx.Response(200, json={"dashboard": BOARD})
        if sent is not None:
            sent.append(request.content)
        return httpx.Response(200, json={"results": {"A": result}})

    return visitor(answer)


async def test_every_panel_of_every_dashboard_is_run_with_its_variables() -> None:
    sent: list[bytes] = []

    assert await check_dashboards(grafana({"frames": []}, boards=2, sent=sent)) == 2
    assert len(sent) == 2
    assert b"SELECT 'UTC', 'day'" in sent[0]


async def test_a_panel_that_would_show_an_error_is_found() -> None:
    with pytest.raises(DemoFailed, match="'At a glance' of maple/board-0: permission denied"):
        await check_dashboards(grafana({"error": "permission denied"}))


async def test_staff_who_see_no_dashboard_are_found() -> None:
    with pytest.raises(DemoFailed, match="The staff of maple see no dashboard"):
        await check_dashboards(grafana({}, boards=0))


async def test_the_columns_of_a_panel_are_read() -> None:
    looking = grafana({"frames": [{"data": {"values": [[]]}}, {"data": {"values": [[1], [2]]}}]})

    assert await read_panel(looking, await read_dashboard(looking, "board"), PANEL) == [[1], [2]]


@pytest.mark.parametrize("status", [401, 404, 200, 403])
async def test_a_neighbour_who_gets_in_is_found(status: int) -> None:
    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the library asks for this name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        async with open_visitor(url, "maple") as one, open_visitor(url, "birch") as other:
            if status in {401, 404}:
                assert await check_neighbours(url, [one, other]) == Walls(8, 0)
            else:
                with pytest.raises(DemoFailed, match=rf"maple: GET /birch/grafana/ → {status}"):
                    await check_neighbours(url, [one, other])
        server.shutdown()


async def test_a_built_in_panel_that_fails_is_found() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "/panels/" in request.url.path:
            return httpx.Response(500, text="{}")
        return httpx.Response(200, text='<a href="/maple/dashboards/shop"></a><section data-panel="7">')

    with pytest.raises(DemoFailed, match="/maple/dashboards/shop/panels/7 → 500"):
        await check_built_in(visitor(answer))
    with pytest.raises(DemoFailed, match="no built-in dashboard"):
        await check_built_in(visitor(lambda _: httpx.Response(200, text="<p>Log in</p>")))


async def test_a_page_without_a_form_lets_nobody_in() -> None:
    with pytest.raises(DemoFailed, match=r"GET /maple/login → 404, and it has no form"):
        await visitor(lambda _: httpx.Response(404)).log_in(Login("mara@maple.example", "secret"))


def test_passwords_are_new_each_time_and_long() -> None:
    assert len({make_password() for _ in range(50)}) == 50
    assert all(len(make_password()) == 19 for _ in range(50))


def test_a_given_grafana_is_used_and_none_is_started() -> None:
    given = Settings(grafana_url="http://127.0.0.1:1", grafana_admin_password="secret")

    assert find_local(given) == LocalGrafana()
    with pytest.raises(DemoFailed, match="set GRAFANA_ADMIN_PASSWORD, too"):
        find_local(Settings(grafana_url="http://127.0.0.1:1"))


def test_beside_a_given_database_none_is_started() -> None:
    local = find_local(Settings(database_url="postgresql://db/grove"))

    assert local.installation is None
    assert "set GRAFANA_URL, too" in str(local.missing)


def test_without_any_the_reason_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "there is none on the PATH" in str(find_local(Settings()).missing)
