"""Logging in and out over HTTP, at clients that there are and at one that there is not."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import argon2
import asyncpg
import httpx
import pytest

from app.auth.destinations import safe_page
from app.auth.throttle import ACCOUNT_FROM_ADDRESS, ADDRESS
from app.embedded.postgres import EmbeddedPostgres
from tests.support.browser import ORIGIN, PASSWORD, Browser, add_person, fields_of
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.waiting import until

SESSION, FORM = "__Secure-grove", "__Secure-grove-form"
ANA = "ana@maple.example"


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application behind https, with a worker."""
    async with open_grove(postgres.url, public_url=ORIGIN) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client with a brand and one person."""
    branding = {"primaryColor": "#c2410c", "logoUrl": "https://maple.example/logo.png"}
    made = await grove.make_client("maple", name="Maple <Dental> & Sons", branding=branding)
    await add_person(grove, made, ANA, name="Ana Silva")
    return made


@pytest.fixture(scope="module")
async def birch(grove: Grove) -> MadeClient:
    """Another client, at which one person of the first works as well."""
    made = await grove.make_client("birch", name="Birch Bikes")
    await add_person(grove, made, ANA, password="another long sentence of hers")
    return made


@pytest.fixture(autouse=True)
async def no_failures(grove: Grove) -> None:
    """Begin each test without failed logins."""
    await execute(grove, "DELETE FROM grove.login_failures")


async def execute(grove: Grove, sql: str, *args: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(grove.settings.main_url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
        return rows
    finally:
        await connection.close()


def told(page: httpx.Response) -> tuple[int, dict[str, str], str]:
    """Take from a page what may differ between any two."""
    headers = {name: value for name, value in page.headers.items() if name not in {"x-request-id", "set-cookie"}}
    text = re.sub(r'name="csrf" value="[^"]+"', "", page.text)
    return page.status_code, headers, text


async def test_staff_log_in_land_on_their_page_and_log_out(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    entered = await browser.log_in(maple.id, "Ana@Maple.example ")
    assert (entered.status_code, entered.headers["location"]) == (303, "/maple/")
    assert (await browser.get("/maple/")).status_code == 200
    assert (await browser.get("/maple/login")).headers["location"] == "/maple/"

    left = await browser.send("/maple/logout")

    assert (left.status_code, left.headers["location"]) == (303, "/maple/login?done=out")
    assert browser.cookie(SESSION) is None
    assert "You are logged out." in (await browser.get("/maple/login?done=out")).text
    assert (await browser.get("/maple/")).headers["location"] == "/maple/login?next=/maple/"


async def test_the_page_is_the_clients_own_and_safe(grove: Grove, maple: MadeClient, birch: MadeClient) -> None:
    page = await Browser(grove).get(f"/{maple.id}/login")
    assert page.status_code == 200
    assert "Maple &lt;Dental&gt; &amp; Sons" in page.text
    assert "<img" not in page.text  # the address of its logo is not one that a picture was had from
    assert birch.id not in page.text.lower()
    assert not re.search(r"grafana|grove", page.text, re.IGNORECASE)
    assert not re.search(r"<script|<style|\bstyle=|\son\w+=", page.text)
    assert re.findall(r'(?:src|href|action)="(?!/maple/|#)', page.text) == []
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "img-src 'self' data:;" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    for label in re.findall(r'<label for="(\w+)"', page.text):
        assert f'id="{label}"' in page.text
    assert '<html lang="en">' in page.text


async def test_everything_that_the_page_loads_is_there(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    page = await browser.get(f"/{maple.id}/login")
    loaded = re.findall(r'href="(/maple/assets/[^"]+)"', page.text)
    assert len(loaded) == 3
    for path in loaded:
        asset = await browser.get(path)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
    sheet = await browser.get("/maple/assets/brand.css")
    assert sheet.headers["content-type"].startswith("text/css")
    assert "--primary: #c2410c" in sheet.text
    assert (await browser.get("/maple/assets/..%2fbrand.py")).status_code == 404
    assert (await browser.get("/maple/assets/none.css")).status_code == 404


async def test_a_client_that_there_is_not_has_a_neutral_page_and_the_same_answers(
    grove: Grove, maple: MadeClient
) -> None:
    await grove.make_client("plain", name="Analytics")
    for path in ("login", "reset", "assets/brand.css", "invitation/abc", "reset/abc", ""):
        known, unknown, odd = [await Browser(grove).get(f"/{name}/{path}") for name in ("plain", "plainx", "No_Such")]
        renamed = told(known)[2].replace("/plain/", "/plainx/")
        assert renamed == told(unknown)[2]
        assert (known.status_code, set(known.headers)) == (unknown.status_code, set(unknown.headers))
        # What can be no client's id is nobody's page.
        assert odd.status_code == (200 if path.startswith("assets") else 404)
        assert maple.body["name"] not in unknown.text
    refused = [await Browser(grove).log_in(name, "who@x.example") for name in ("plain", "plainx")]
    assert [answer.status_code for answer in refused] == [422, 422]
    assert told(refused[0])[2].replace("/plain/", "/plainx/") == told(refused[1])[2]


@pytest.mark.parametrize(
    ("client_id", "email", "password"),
    [
        ("maple", ANA, "not her password at all"),
        ("maple", "nobody@maple.example", PASSWORD),
        ("maple", "invited@maple.example", PASSWORD),
        ("maple", "disabled@maple.example", PASSWORD),
        ("maple", "", ""),
        ("maple", ANA, ""),
        ("maple", ANA, PASSWORD + "x" * 200),
        ("maple", "x" * 400 + "@maple.example", PASSWORD),
        ("birch", ANA, PASSWORD),
        ("nobody", ANA, PASSWORD),
    ],
)
async def test_whoever_cannot_come_in_is_told_the_same_and_costs_the_same(
    grove: Grove, maple: MadeClient, birch: MadeClient, monkeypatch: pytest.MonkeyPatch,
    client_id: str, email: str, password: str,
) -> None:  # fmt: skip
    assert birch.id == "birch"
    people = (await grove.http.get(f"{maple.path}/staff", headers=maple.admin)).json()["data"]
    if len(people) == 1:
        await add_person(grove, maple, "invited@maple.example", password=None)
        disabled = await add_person(grove, maple, "disabled@maple.example")
        path = f"{maple.path}/staff/{disabled['id']}"
        assert (await grove.http.patch(path, json={"status": "disabled"}, headers=maple.admin)).status_code == 200
    hashed: list[str] = []
    really_verify = argon2.PasswordHasher.verify

    def verify(self: argon2.PasswordHasher, stored: str, given: str) -> bool:
        hashed.append(stored.rpartition("$")[0].rpartition("$")[0])
        return really_verify(self, stored, given)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    browser = Browser(grove)
    refused = await browser.log_in(client_id, email, password)

    assert refused.status_code == 422
    assert "The e-mail address or the password is not right." in refused.text
    assert browser.cookie(SESSION) is None
    assert hashed == ["$argon2id$v=19$m=47104,t=1,p=1"]


@pytest.mark.parametrize("wanted", ["/maple/dashboards/x?from=now-1h", "/maple/grafana/d/x"])
async def test_a_login_leads_to_where_somebody_wanted_to_go(grove: Grove, maple: MadeClient, wanted: str) -> None:
    entered = await Browser(grove).log_in(maple.id, ANA, wanted=wanted)
    assert entered.headers["location"] == wanted


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "/%09/evil.example", "https://evil.example/", "/birch/"]
)
async def test_a_login_leads_nowhere_else(grove: Grove, maple: MadeClient, wanted: str) -> None:
    entered = await Browser(grove).log_in(maple.id, ANA, wanted=wanted)
    assert entered.headers["location"] == "/maple/"
    browser = Browser(grove)
    forged = await browser.send("/maple/login", email=ANA, password=PASSWORD, next=wanted)
    assert forged.headers["location"] == "/maple/"
    assert (await browser.get("/maple/login", params={"next": wanted})).headers["location"] == "/maple/"


async def test_a_form_of_another_site_lets_nobody_in(grove: Grove, maple: MadeClient) -> None:
    form = {"email": ANA, "password": PASSWORD}
    bare = await Browser(grove).http.post("/maple/login", data=form)
    guessed = await Browser(grove).log_in(maple.id, ANA)
    assert guessed.status_code == 303
    wrong = await Browser(grove).send("/maple/login", csrf="x" * 43, **form)
    crossing = Browser(grove)
    proof = fields_of(await crossing.get("/maple/login"))["csrf"]
    crossed = await crossing.http.post(
        "/maple/login", data=form | {"csrf": proof}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    elsewhere = fields_of(await Browser(grove).get("/maple/login"))["csrf"]
    borrowed = await Browser(grove).send("/maple/login", csrf=elsewhere, **form)
    assert [answer.status_code for answer in (bare, wrong, crossed, borrowed)] == [403, 403, 403, 403]
    assert crossing.cookie(SESSION) is None


async def test_a_form_of_another_site_logs_nobody_out(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    proof = fields_of(await browser.get("/maple/logout"))["csrf"]
    await browser.http.post("/maple/logout", data={"csrf": "x"})
    await browser.http.post("/maple/logout", data={"csrf": proof}, headers={"Sec-Fetch-Site": "cross-site"})
    await browser.get("/maple/logout")
    assert (await browser.get("/maple/")).status_code == 200


@pytest.mark.parametrize("body", [b"{}", b"--x\r\n", b""])
async def test_only_a_simple_form_is_read(grove: Grove, maple: MadeClient, body: bytes) -> None:
    browser = Browser(grove)
    for media_type in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
        answer = await browser.http.post(f"/{maple.id}/login", content=body, headers={"Content-Type": media_type})
        assert answer.status_code == 415
    large = await browser.http.post(f"/{maple.id}/login", data={"email": "x" * 20_000})
    assert large.status_code == 413


async def test_the_cookies_are_for_this_client_alone_and_out_of_scripts_reach(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    entered = await browser.log_in(maple.id, ANA)
    made = {cookie.name: cookie for cookie in browser.http.cookies.jar}
    assert set(made) == {SESSION, FORM, "__Secure-grove-device"}
    assert {(cookie.path, cookie.secure) for cookie in made.values()} == {("/maple/", True)}
    for line in entered.headers.get_list("set-cookie"):
        assert "HttpOnly" in line
        assert "SameSite=lax" in line
    token = made[SESSION].value or ""
    assert len(token) >= 43
    stored = await execute(grove, "SELECT hash, address FROM grove.staff_sessions")
    assert all(token.encode() not in row["hash"] for row in stored)
    assert {row["address"] for row in stored} == {"192.0.2.1"}


async def test_each_login_begins_a_session_of_its_own_and_ends_the_one_before(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    first = browser.cookie(SESSION) or ""
    again = await Browser(grove).get("/maple/login")
    fields = fields_of(again) | {"email": ANA, "password": PASSWORD}
    cookies = dict(cookie.split(";")[0].split("=", 1) for cookie in again.headers.get_list("set-cookie"))
    header = "; ".join(f"{name}={value}" for name, value in (cookies | {SESSION: first}).items())
    entered = await Browser(grove).http.post("/maple/login", data=fields, headers={"Cookie": header})
    assert entered.status_code == 303
    assert f"{SESSION}=" in entered.headers["set-cookie"]
    assert first not in entered.headers["set-cookie"]
    assert (await browser.get("/maple/")).status_code == 303


async def test_a_session_is_of_one_client_and_of_no_other(grove: Grove, maple: MadeClient, birch: MadeClient) -> None:
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    header = {"Cookie": f"{SESSION}={browser.cookie(SESSION)}"}
    for other in (birch.id, "nobody"):
        page = await Browser(grove).get(f"/{other}/", headers=header)
        assert (page.status_code, page.headers["location"]) == (303, f"/{other}/login?next=/{other}/")
        asked = await Browser(grove).get(f"/{other}/", headers=header | {"Accept": "application/json"})
        assert asked.status_code == 404
        assert asked.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 600, "\u00fc", "a b", "'; DROP TABLE grove.staff; --"])
async def test_a_made_up_session_is_none(grove: Grove, maple: MadeClient, token: str) -> None:
    header = [(b"accept", b"text/html"), (b"cookie", f"{SESSION}={token}".encode("latin-1"))]
    answer = await Browser(grove).http.get(f"/{maple.id}/", headers=header)
    assert answer.status_code == 303


async def test_a_session_ends_after_its_lifetime_and_when_it_is_not_used(grove: Grove, maple: MadeClient) -> None:
    for column, ago in (("expires_at", "1 second"), ("seen_at", "13 hours")):
        browser = Browser(grove)
        await browser.log_in(maple.id, ANA)
        await execute(grove, f"UPDATE grove.staff_sessions SET {column} = now() - interval '{ago}'")  # noqa: S608
        assert (await browser.get("/maple/")).status_code == 303


async def test_use_of_a_session_is_written_down(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    await execute(grove, "UPDATE grove.staff_sessions SET seen_at = now() - interval '11 hours'")
    assert (await browser.get("/maple/")).status_code == 200
    recent = "SELECT FROM grove.staff_sessions WHERE seen_at > now() - interval '1 minute'"

    async def is_saved() -> bool:
        return bool(await execute(grove, recent))

    await until(is_saved, within_s=8)


async def test_guessing_is_slowed_down_more_and_more_and_a_right_password_does_not_help_then(
    grove: Grove, maple: MadeClient
) -> None:
    stranger = Browser(grove, address="198.51.100.1")
    answers = [await stranger.log_in(maple.id, ANA, "wrong guess") for _ in range(ACCOUNT_FROM_ADDRESS.free + 1)]
    assert [answer.status_code for answer in answers] == [422] * ACCOUNT_FROM_ADDRESS.free + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 2
    right = await stranger.log_in(maple.id, ANA)
    assert right.status_code == 429
    assert "Too many attempts" in right.text
    unknown = Browser(grove, address="198.51.100.2")
    answers = [await unknown.log_in("nobody", "who@x.example", "guess") for _ in range(ACCOUNT_FROM_ADDRESS.free + 1)]
    assert [answer.status_code for answer in answers] == [422] * ACCOUNT_FROM_ADDRESS.free + [429]


async def test_many_guesses_at_once_gain_nothing(grove: Grove, maple: MadeClient) -> None:
    stranger = Browser(grove, address="198.51.100.3")
    page = fields_of(await stranger.get(f"/{maple.id}/login"))
    form = page | {"email": ANA, "password": "wrong guess"}
    answers = await asyncio.gather(*(stranger.http.post("/maple/login", data=form) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [422] * ACCOUNT_FROM_ADDRESS.free + [429] * (
        20 - ACCOUNT_FROM_ADDRESS.free
    )


async def test_what_is_refused_leaves_nothing_behind(grove: Grove, maple: MadeClient) -> None:
    stranger = Browser(grove, address="198.51.100.30")
    for number in range(ADDRESS.free + 1):
        await stranger.log_in(maple.id, f"made-up-{number}@maple.example", "wrong guess")
    before = await execute(grove, "SELECT FROM grove.login_failures")
    refused = [await stranger.log_in(maple.id, f"more-{number}@maple.example", "guess") for number in range(5)]
    assert {answer.status_code for answer in refused} == {429}
    assert len(await execute(grove, "SELECT FROM grove.login_failures")) == len(before)


@pytest.mark.parametrize("email", ["ana\0@maple.example", "\u202eana@maple.example", "\0"])
async def test_an_address_with_characters_that_nobody_sees_is_answered_like_any_other(
    grove: Grove, maple: MadeClient, email: str
) -> None:
    assert (await Browser(grove).log_in(maple.id, email, "wrong guess")).status_code == 422


@pytest.mark.parametrize("segment", ["x;%20Domain=example.com;%20Path=/", "%E2%80%AE", "x%0d%0ay", "m%FFx", "ma%00ple"])
async def test_no_cookie_is_made_for_what_can_be_no_client(grove: Grove, segment: str) -> None:
    for page in ("login", "reset", "invitation/abc"):
        answer = await Browser(grove).get(f"/{segment}/{page}")
        assert (answer.status_code, answer.headers.get("set-cookie")) == (404, None)


async def test_a_stranger_locks_nobody_out(grove: Grove, maple: MadeClient) -> None:
    for number in range(6):
        stranger = Browser(grove, address=f"198.51.100.{10 + number}")
        for _ in range(ACCOUNT_FROM_ADDRESS.free + 2):
            await stranger.log_in(maple.id, ANA, "wrong guess")
    assert (await Browser(grove, address="192.0.2.77").log_in(maple.id, ANA)).status_code == 303


async def test_a_browser_that_was_in_before_is_not_slowed_down_by_others_at_its_address(
    grove: Grove, maple: MadeClient
) -> None:
    known = Browser(grove, address="198.51.100.40")
    await known.log_in(maple.id, ANA)
    await known.send("/maple/logout")
    stranger = Browser(grove, address="198.51.100.40")
    for number in range(ADDRESS.free + 1):
        await stranger.log_in(maple.id, f"guess{number}@maple.example", "wrong guess")
    assert (await stranger.log_in(maple.id, ANA)).status_code == 429
    assert (await known.log_in(maple.id, ANA)).status_code == 303


async def test_a_right_password_takes_the_wrong_ones_back(grove: Grove, maple: MadeClient) -> None:
    for _ in range(3):
        browser = Browser(grove, address="198.51.100.50")
        for _ in range(ACCOUNT_FROM_ADDRESS.free - 1):
            assert (await browser.log_in(maple.id, ANA, "wrong guess")).status_code == 422
        assert (await browser.log_in(maple.id, ANA)).status_code == 303


async def test_a_suspended_client_has_a_neutral_page_and_lets_nobody_in(grove: Grove) -> None:
    willow = await grove.make_client("willow", name="Willow Weddings")
    await add_person(grove, willow, "wil@willow.example")
    browser = Browser(grove)
    await browser.log_in(willow.id, "wil@willow.example")
    assert (await browser.get("/willow/")).status_code == 200
    await grove.http.post(f"{willow.path}/suspend", headers=grove.platform)

    async def is_shut() -> bool:
        return (await browser.get("/willow/")).status_code == 403

    await until(is_shut, within_s=1)
    assert "Willow" not in (await Browser(grove).get("/willow/login")).text
    assert (await Browser(grove).log_in(willow.id, "wil@willow.example")).status_code == 422


async def test_a_weaker_hash_is_replaced_at_the_next_login(grove: Grove, maple: MadeClient) -> None:
    await add_person(grove, maple, "old@maple.example")
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    await execute(grove, "UPDATE grove.staff SET password_hash = $1 WHERE email = 'old@maple.example'", weak)
    for _ in range(2):
        assert (await Browser(grove).log_in(maple.id, "old@maple.example")).status_code == 303
    (row,) = await execute(grove, "SELECT password_hash FROM grove.staff WHERE email = 'old@maple.example'")
    assert row["password_hash"].startswith("$argon2id$v=19$m=47104,t=1,p=1$")


async def test_over_plain_http_on_a_network_nobody_can_log_in(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url, public_url="http://grove.test") as grove:
        page = await Browser(grove).get("/maple/login")
        assert page.status_code == 403
        assert "Logging in needs https" in page.text
        assert "password" not in re.findall(r'type="(\w+)"', page.text)
        posted = await Browser(grove).http.post("/maple/login", data={"email": ANA, "password": PASSWORD})
        assert posted.status_code == 403


@pytest.mark.parametrize("path", ["/maple", "/nobody", "/maple/", "/robots.txt", "/favicon.ico", "/.env", "/wp-admin"])
async def test_who_asks_for_no_page_is_told_the_same_of_every_first_segment(
    grove: Grove, maple: MadeClient, path: str
) -> None:
    del maple
    for accept in ("application/json", "*/*", "image/png"):
        answer = await Browser(grove).get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/robots.txt", "/favicon.ico", "/.env", "/Nonsense", "/x"])
async def test_a_browser_at_what_can_be_no_client_sees_that_there_is_nothing(grove: Grove, path: str) -> None:
    page = await Browser(grove).get(path)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page" in page.text
    assert not re.search(r"grafana|grove", page.text, re.IGNORECASE)


@pytest.mark.parametrize("path", ["nothing-here", "d/none", "dashboards/user-events/panels", "login/x", "dashboards/x"])
async def test_staff_at_a_path_that_leads_nowhere_see_their_own_page_and_the_way_home(
    grove: Grove, maple: MadeClient, path: str
) -> None:
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    page = await browser.get(f"/maple/{path}")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page · Maple &lt;Dental&gt; &amp; Sons" in page.text
    assert '<a href="/maple/">Go to your dashboards</a>' in page.text
    assert not re.search(r"grafana|grove", page.text, re.IGNORECASE)
    for asked in ({"method": "GET", "headers": {"Accept": "application/json"}}, {"method": "POST"}):
        answer = await browser.http.request(url="/maple/nothing-here", **asked)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_path_that_leads_nowhere_tells_strangers_nothing(
    grove: Grove, maple: MadeClient, birch: MadeClient
) -> None:
    foreign = Browser(grove)
    await foreign.log_in(birch.id, ANA, "another long sentence of hers")
    session = f"{SESSION}={foreign.cookie(SESSION)}"
    for headers in ({}, {"Cookie": session}, {"Cookie": f"{SESSION}={'x' * 43}"}):
        pages = [
            await Browser(grove).get(f"/{client_id}/nothing-here", headers=headers)
            for client_id in (maple.id, "nobody")
        ]
        own, none = [(page.status_code, re.sub(r"maple|nobody|Request \w+", "…", page.text)) for page in pages]
        assert own == none
        assert own[0] == 404
        assert not re.search(r"Dental|Birch|c2410c|Go to your", own[1])
    for path in ("/api/v1/nothing", "/docs/nothing", "/Nonsense/x", "/health/x"):
        answer = await Browser(grove).get(path, headers={"Cookie": session})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_session_that_ended_is_told_to_scripts_below_the_first_page(grove: Grove, maple: MadeClient) -> None:
    for client in (maple.id, "nobody"):
        path = f"/{client}/dashboards/user-events/panels/1"
        answer = await Browser(grove).get(path, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "wanted", ["/maple/", "/maple/?from=now-7d&to=now", "/maple/dashboards/conversations?from=now-7d&var-x=a%20b"]
)
async def test_a_deep_link_is_come_back_to_after_the_login(grove: Grove, maple: MadeClient, wanted: str) -> None:
    browser = Browser(grove)
    away = await browser.get(wanted)
    assert away.status_code == 303
    entered = await browser.send(away.headers["location"], email=ANA, password=PASSWORD)
    assert (entered.status_code, entered.headers["location"]) == (303, wanted)
    assert (await browser.get(wanted)).status_code == 200
    del maple


@pytest.mark.parametrize(
    "sent",
    [
        "//evil.example", "/maple//evil.example", "/maple/%2f%2fevil.example", "/maple/\\evil.example",
        "/maple/%5cevil", "/maple/%09/evil.example", "/maple/%0d%0aSet-Cookie:x", "/maple/%252f%252fevil.example",
        "/maple/..%2f..%2foak/", "/maple/%2e%2e/oak/", "/maple/;//evil.example", "/maple/%ff",
        "/maple/@evil.example//x",
    ],
)  # fmt: skip
async def test_no_link_leads_elsewhere_by_way_of_the_login(grove: Grove, maple: MadeClient, sent: str) -> None:
    del maple
    away = await Browser(grove).get(sent)
    if away.status_code == 303:
        location = away.headers["location"]
        wanted = httpx.URL(location).params.get("next")
        assert httpx.URL(location).path in {"/maple/login", "/oak/login"}
        assert wanted is None or (safe_page(wanted, "/maple") == wanted or safe_page(wanted, "/oak") == wanted)
    else:
        assert away.status_code in {400, 404}
