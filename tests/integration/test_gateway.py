"""The gateway in front of the double and of a real Grafana: who gets in, what comes back, who is thrown out."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.browser import HTML, ORIGIN, Browser, add_person
from tests.support.grafana import ALLOWED, Target
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.waiting import until

ANA = "ana@maple.example"
DATA = {"Accept": "application/json", "Origin": ORIGIN}
QUERY = {
    "from": "now-1h",
    "to": "now",
    "queries": [
        {"refId": "A", "datasource": {"uid": "analytics"}, "rawSql": "SELECT 41 + 1 AS answer", "format": "table"},
    ],
}


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, grafana: Target) -> AsyncIterator[Grove]:
    """An application behind https, with a worker and a Grafana."""
    given: dict[str, Any] = {
        "public_url": ORIGIN, "grafana_url": grafana.url, "grafana_admin_password": grafana.password,
        "grafana_allow_version": ALLOWED,
    }  # fmt: skip
    async with open_grove(postgres.url, **given) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client with a viewer and an editor."""
    made = await grove.make_client(
        f"maple-{secrets.token_hex(3)}", name="Maple Dental", branding={"primaryColor": "#c2410c"}
    )
    await add_person(grove, made, ANA, name="Ana Silva", role="viewer")
    await add_person(grove, made, "ed@maple.example", name="Ed Jones", role="editor")
    await _repair(grove, made)
    return made


@pytest.fixture(scope="module")
async def birch(grove: Grove) -> MadeClient:
    """Another client, at which one person of the first works as well."""
    made = await grove.make_client(f"birch-{secrets.token_hex(3)}", name="Birch Bikes")
    await add_person(grove, made, ANA, role="viewer")
    await _repair(grove, made)
    return made


@pytest.fixture
async def ana(grove: Grove, maple: MadeClient, birch: MadeClient) -> Browser:
    """The viewer's browser, logged in at the first client."""
    del birch
    browser = Browser(grove)
    assert (await browser.log_in(maple.id, ANA)).status_code == 303
    return browser


async def _repair(grove: Grove, client: MadeClient) -> None:
    headers = grove.platform | {"Prefer": "wait=30"}
    assert (await grove.http.post(f"{client.path}/grafana/reconcile", headers=headers)).is_success


async def test_without_a_session_a_page_leads_to_the_login_and_back(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    away = await browser.get(f"/{maple.id}/grafana/d/user-events?from=now-7d")
    assert away.status_code == 303
    assert away.headers["location"] == f"/{maple.id}/login?next=/{maple.id}/grafana/d/user-events%3Ffrom%3Dnow-7d"
    entered = await browser.log_in(maple.id, ANA, wanted=f"/{maple.id}/grafana/d/user-events?from=now-7d")
    assert entered.headers["location"] == f"/{maple.id}/grafana/d/user-events?from=now-7d"


async def test_without_a_session_data_is_refused_the_same_for_every_client(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    for client in (maple.id, "nobody"):
        answer = await browser.get(f"/{client}/grafana/api/search", headers=DATA)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["content-type"] == "application/problem+json"
        page = await browser.get(f"/{client}/grafana/")
        assert (page.status_code, page.headers["location"]) == (303, f"/{client}/login?next=/{client}/grafana/")


async def test_the_page_is_below_the_prefix_and_under_the_clients_name(ana: Browser, maple: MadeClient) -> None:
    page = await ana.get(f"/{maple.id}/grafana/d/user-events")
    assert page.status_code == 200, page.text
    assert f'<base href="/{maple.id}/grafana/"/>' in page.text
    assert f'"appSubUrl":"/{maple.id}/grafana"' in page.text
    assert f'"gravatarUrl":"/{maple.id}/grafana/' in page.text
    assert "<title>Maple Dental</title>" in page.text
    assert "grafana_session" not in page.headers.get("set-cookie", "")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-length"] == str(len(page.content))
    assert f"connect-src {ORIGIN}/{maple.id}/grafana/" in page.headers["content-security-policy"]


async def test_our_own_files_carry_the_clients_colours(ana: Browser, maple: MadeClient) -> None:
    sheet = await ana.get(f"/{maple.id}/grafana/grove/brand.css")
    assert "--grove-primary: #c2410c" in sheet.text
    logo = await ana.get(f"/{maple.id}/grafana/public/img/grafana_icon.svg")
    assert logo.headers["location"].startswith(f"/{maple.id}/assets/mark.svg?v=")
    mark = await ana.get(logo.headers["location"])
    assert mark.headers["content-type"] == "image/svg+xml"
    assert ">M</text>" in mark.text


async def test_figures_come_from_the_clients_own_database(ana: Browser, maple: MadeClient) -> None:
    answer = await ana.http.post(f"/{maple.id}/grafana/api/ds/query", json=QUERY, headers=DATA)
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"]["A"]["frames"][0]["data"]["values"] == [[42]]
    assert answer.headers["cache-control"] == "no-store"


async def test_addresses_in_the_list_of_dashboards_come_below_the_prefix(ana: Browser, maple: MadeClient) -> None:
    found = (await ana.get(f"/{maple.id}/grafana/api/search", headers=DATA)).json()
    assert found
    assert all(entry["url"].startswith(f"/{maple.id}/grafana/") for entry in found)


async def test_another_clients_grafana_is_not_there(ana: Browser, birch: MadeClient) -> None:
    page = await ana.get(f"/{birch.id}/grafana/")
    assert (page.status_code, page.headers["location"]) == (303, f"/{birch.id}/login?next=/{birch.id}/grafana/")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in ana.http.cookies.jar)
    async with httpx.AsyncClient(transport=ana.http._transport, base_url=ORIGIN) as http:  # noqa: SLF001 - the same application
        foreign = await http.get(f"/{birch.id}/grafana/api/search", headers=DATA | {"Cookie": cookies})
        none = await http.get(f"/{birch.id}/grafana/api/search", headers=DATA)
    assert foreign.status_code == none.status_code == 401
    strip = {"request_id"}
    assert {k: v for k, v in foreign.json().items() if k not in strip} == {
        k: v for k, v in none.json().items() if k not in strip
    }


async def test_a_change_must_come_from_a_page_of_the_same_origin(ana: Browser, maple: MadeClient) -> None:
    path = f"/{maple.id}/grafana/api/ds/query"
    for origin in ("https://evil.example", "null", "http://grove.test", f"{ORIGIN}:8443", f"{ORIGIN}.evil.example"):
        answer = await ana.http.post(path, json=QUERY, headers=DATA | {"Origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed"), origin
    unsaid = await ana.http.post(path, json=QUERY, headers={"Accept": "application/json"})
    assert unsaid.status_code == 403
    said = await ana.http.post(path, json=QUERY, headers={"Sec-Fetch-Site": "same-origin"})
    assert said.status_code == 200


async def test_what_is_not_listed_is_not_there_and_a_page_says_so(ana: Browser, maple: MadeClient) -> None:
    for path in ("/api/admin/settings", "/api/orgs", "/api/user/using/1", "/metrics", "/api/snapshots", "/nothing"):
        assert (await ana.get(f"/{maple.id}/grafana{path}", headers=DATA)).status_code == 404
    page = await ana.get(f"/{maple.id}/grafana/explore")
    assert (page.status_code, "Maple Dental" in page.text) == (404, True)
    assert "grafana" not in re.sub(r'(href|action|src)="[^"]*"', "", page.text).lower()


async def test_leaving_goes_through_our_own_pages(ana: Browser, maple: MadeClient) -> None:
    assert (await ana.get(f"/{maple.id}/grafana/logout")).headers["location"] == f"/{maple.id}/logout"
    assert (await ana.get(f"/{maple.id}/grafana/login")).headers["location"] == f"/{maple.id}/login"
    assert (await ana.get(f"/{maple.id}/grafana")).headers["location"] == f"/{maple.id}/grafana/"


async def test_a_body_that_is_too_large_is_refused(ana: Browser, maple: MadeClient) -> None:
    path = f"/{maple.id}/grafana/api/ds/query"
    answer = await ana.http.post(path, content=b"x" * (2 * 1024 * 1024 + 1), headers=DATA)
    assert answer.status_code == 413


async def test_only_an_editor_saves_a_dashboard_and_not_after_being_demoted(
    grove: Grove, maple: MadeClient, ana: Browser
) -> None:
    wanted = {"dashboard": {"title": "My own", "panels": []}, "overwrite": False}
    path = f"/{maple.id}/grafana/api/dashboards/db"
    assert (await ana.http.post(path, json=wanted, headers=DATA)).status_code == 404
    ed = Browser(grove)
    await ed.log_in(maple.id, "ed@maple.example")
    assert (await ed.http.post(path, json=wanted, headers=DATA)).status_code == 200
    people = (await grove.http.get(f"{maple.path}/staff", headers=maple.admin)).json()
    person = next(row for row in people["data"] if row["email"] == "ed@maple.example")
    demoted = await grove.http.patch(f"{maple.path}/staff/{person['id']}", json={"role": "viewer"}, headers=maple.admin)
    assert demoted.is_success, demoted.text

    async def is_refused() -> bool:
        return (await ed.http.post(path, json=wanted, headers=DATA)).status_code == 404

    await until(is_refused, within_s=1)


async def test_a_session_that_ends_ends_here_too(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    kept = dict(browser.http.cookies)
    assert (await browser.get(f"/{maple.id}/grafana/api/search", headers=DATA)).status_code == 200
    await browser.send(f"/{maple.id}/logout")
    async with httpx.AsyncClient(transport=browser.http._transport, base_url=ORIGIN, cookies=kept) as http:  # noqa: SLF001 - the same application

        async def is_out() -> bool:
            return (await http.get(f"/{maple.id}/grafana/api/search", headers=DATA)).status_code == 401

        await until(is_out, within_s=1)
        assert (await http.get(f"/{maple.id}/grafana/", headers=HTML)).status_code == 303


async def test_a_question_that_was_begun_in_time_is_not_answered_after_the_session(
    grove: Grove, maple: MadeClient
) -> None:
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    kept = dict(browser.http.cookies)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"queries": ['
        begun.set()
        await ended.wait()
        yield b"]}"

    async with httpx.AsyncClient(transport=browser.http._transport, base_url=ORIGIN, cookies=kept) as http:  # noqa: SLF001 - the same application
        path = f"/{maple.id}/grafana/api/ds/query"
        asked = asyncio.create_task(http.post(path, content=slowly(), headers=DATA))
        await begun.wait()
        await browser.send(f"/{maple.id}/logout")
        await asyncio.sleep(1)
        ended.set()
        assert (await asked).status_code == 401


async def test_staff_of_a_suspended_client_see_nothing(grove: Grove, birch: MadeClient) -> None:
    browser = Browser(grove)
    await browser.log_in(birch.id, ANA)
    assert (await browser.get(f"/{birch.id}/grafana/api/search", headers=DATA)).status_code == 200
    assert (await grove.http.post(f"{birch.path}/suspend", headers=grove.platform)).is_success
    try:

        async def is_shut() -> bool:
            return (await browser.get(f"/{birch.id}/grafana/api/search", headers=DATA)).status_code in {401, 403}

        await until(is_shut, within_s=1)
    finally:
        assert (await grove.http.post(f"{birch.path}/resume", headers=grove.platform)).is_success
