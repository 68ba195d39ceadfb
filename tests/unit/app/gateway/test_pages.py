"""How a page of Grafana's becomes a page of a client's."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.auth.sessions import StaffMember
from app.console.brand import Brand
from app.gateway.branding import LOGOS, OWN_FILES, find_own
from app.gateway.pages import Page, policy, rewrite
from tenants.ids import TenantId

MEMBER = StaffMember(
    staff_id=UUID(int=1), client_id=TenantId("maple"), email="ana@maple.example", name="Ana </script>", role="viewer",
    csrf="c", session=b"s", expires_at=datetime(2030, 1, 1, tzinfo=UTC),
)  # fmt: skip
BRAND = Brand(name='Maple <"Dental"> & Sons', primary="#c2410c", logo="abc")
PAGE = Page(
    brand=BRAND, member=MEMBER, prefix="/maple/grafana", home="/maple", origin="https://grove.test", nonce="abc"
)
MENU: list[dict[str, Any]] = [
    {"id": "home", "text": "Home", "url": "/"},
    {"id": "dashboards", "text": "Dashboards", "url": "/dashboards", "children": [
        {"id": "browse", "text": "Browse", "url": "/dashboards"}, {"id": "snapshots", "url": "/dashboard/snapshots"}]},
    {"id": "alerting", "text": "Alerting", "url": "/alerting/home", "children": [{"url": "/alerting/list"}]},
    {"id": "starred", "text": "Starred", "url": "/starred", "children": [{"id": "one", "url": "/d/one/x?orgId=2"}]},
    {"id": "help", "text": "Help", "url": "#"},
    {"id": "profile", "text": "maple:ana@maple.example", "url": "/profile", "children": [{"url": "/profile"}]},
]  # fmt: skip
SETTINGS = {
    "appSubUrl": "", "appUrl": "http://grafana:3000/", "helpEnabled": True, "exploreEnabled": True,
    "buildInfo": {"version": "9.4.0", "hideVersion": False}, "featureToggles": {"publicDashboards": True, "x": True},
}  # fmt: skip
USER = {
    "login": "maple:ana@maple.example", "email": "1@maple.grove.invalid", "orgId": 2, "orgName": "maple",
    "gravatarUrl": "/avatar/abc", "name": "Ana </script>",
}  # fmt: skip


def html_of(user: object = USER, settings: object = SETTINGS, menu: object = MENU) -> str:
    data = [json.dumps(value).replace("<", "\\u003c") for value in (user, settings, menu)]
    return (
        '<!doctype html><html><head><title>Grafana</title><base href="/"/>'
        '<link rel="icon" type="image/png" href="public/img/fav32.png"/>'
        '<link rel="apple-touch-icon" sizes="180x180" href="public/img/apple-touch-icon.png"/>'
        '<link rel="stylesheet" href="public/build/dark.css"/><script nonce="">performance.mark(1)</script></head>'
        '<body><div class="preloader__text">Loading Grafana</div><div class="preloader__text preloader__text--fail"><p>'
        '<strong>Grafana has failed</strong></p><p>2. grafana.ini</p></div><script nonce="">'
        f"window.grafanaBootData = {{\n  user: {data[0]},\n  settings: {data[1]},\n  navTree: {data[2]},\n  x: 1}};"
        "</script></body></html>"
    )


def data_of(html: str, name: str) -> Any:
    found = re.search(rf"\b{name}: ", html[html.index("window.grafanaBootData") :])
    assert found is not None
    return json.JSONDecoder().raw_decode(html, html.index("window.grafanaBootData") + found.end())[0]


def test_addresses_come_below_the_prefix() -> None:
    html = rewrite(html_of(), PAGE)
    assert '<base href="/maple/grafana/"/>' in html
    assert html.count("<base") == 1
    settings = data_of(html, "settings")
    assert settings["appSubUrl"] == "/maple/grafana"
    assert settings["appUrl"] == "https://grove.test/maple/grafana/"
    assert data_of(html, "user")["gravatarUrl"] == "/maple/grafana/avatar/abc"


def test_nothing_on_the_page_is_called_grafana() -> None:
    html = rewrite(html_of(), PAGE)
    assert "<title>Maple &lt;&quot;Dental&quot;&gt; &amp; Sons</title>" in html
    shown = re.sub(r"<script.*?</script>|<link[^>]*>|<base[^>]*>", "", html, flags=re.DOTALL)
    assert "grafana" not in shown.lower()
    assert "fav32" not in html
    assert "apple-touch" not in html


def test_people_see_their_own_address_and_no_name_of_ours() -> None:
    user = data_of(rewrite(html_of(), PAGE), "user")
    assert (user["login"], user["email"], user["orgName"]) == ("ana@maple.example", "ana@maple.example", BRAND.name)
    assert "grove.invalid" not in rewrite(html_of(), PAGE)


def test_the_menu_leads_only_where_the_gateway_lets_through_and_out() -> None:
    menu = data_of(rewrite(html_of(), PAGE), "navTree")
    assert [entry["id"] for entry in menu] == ["home", "dashboards", "starred", "profile"]
    assert [child["id"] for child in menu[1]["children"]] == ["browse"]
    assert menu[2]["url"] == "/maple/grafana/d/one/x?orgId=2"
    assert [child["url"] for child in menu[3]["children"]] == ["/maple/grafana/logout"]
    assert menu[3]["text"] == "Ana </script>"


def test_what_the_gateway_closes_is_not_offered() -> None:
    settings = data_of(rewrite(html_of(), PAGE), "settings")
    assert (settings["helpEnabled"], settings["exploreEnabled"]) == (False, False)
    assert settings["featureToggles"] == {"x": True}
    assert settings["buildInfo"]["hideVersion"] is True


def test_data_cannot_end_the_script_that_it_stands_in() -> None:
    html = rewrite(html_of(), PAGE)
    assert "</script>" not in html[html.index("window.grafanaBootData") : html.rindex("</script>")]


def test_scripts_run_with_the_pages_nonce_alone() -> None:
    html = rewrite(html_of(), PAGE)
    assert re.findall(r'<script(?![^>]*nonce="abc")', html) == []
    assert "script-src 'nonce-abc' 'unsafe-eval' https://grove.test/maple/grafana/;" in policy(PAGE)
    assert "'unsafe-inline'" not in policy(PAGE).partition("script-src")[2].partition(";")[0]


def test_the_policy_keeps_pages_below_the_prefix() -> None:
    made = policy(PAGE)
    assert "connect-src https://grove.test/maple/grafana/ wss://grove.test/maple/grafana/;" in made
    assert "img-src data: blob: https://grove.test/maple/grafana/ https://grove.test/maple/assets/;" in made
    assert "'self'" not in made


@pytest.mark.parametrize("html", ["", "<html></html>", "<script>window.grafanaBootData = {user: nonsense}</script>"])
def test_a_page_without_data_is_passed_on(html: str) -> None:
    assert rewrite(html, PAGE) == html


@pytest.mark.parametrize("path", sorted(LOGOS))
def test_the_clients_logo_answers_for_grafanas(path: str) -> None:
    for brand, icon in ((BRAND, "/maple/assets/icon.png?v=abc"), (Brand(name="Birch"), "/maple/assets/mark.svg?v=")):
        answer = find_own(path, brand, "/maple")
        assert answer is not None
        assert answer[0] == 302
        assert dict(answer[1])[b"location"].startswith(icon.encode())


def test_the_style_sheet_cannot_be_left_by_a_name() -> None:
    answer = find_own("/grove/brand.css", Brand(name='"} body { display: none } /*'), "/maple")
    assert answer is not None
    assert b"body { display" not in answer[2]
    assert b'"\\22 \\7d ' in answer[2]


def test_only_our_own_files_are_answered() -> None:
    assert all(find_own(path, BRAND, "/maple") for path in OWN_FILES | LOGOS)
    assert find_own("/grove/other.js", BRAND, "/maple") is None
