"""Staff of one client attack the other through the gateway, over raw sockets, with a real Grafana behind it."""

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.browser import HTML, PASSWORD, add_person, fields_of
from tests.support.grafana import Target
from tests.support.mutations import CLOSED, mutations
from tests.support.provisioner import fetch
from tests.support.site import Site, open_site
from tests.support.spoofs import COOKIE_SPOOFS, HEADER_SPOOFS

pytestmark = pytest.mark.grafana
# What must never be seen by the one client's staff: the other's name, address, colour and people, and the operator's.
FOREIGN = (b"oak", b"Oak Cycles", b"1d4ed8", b"Main Org", b"admin@localhost")
SHARES = 8


class Answer(msgspec.Struct, frozen=True):
    """What came back over the socket; status 0 where the server hung up."""

    status: int
    head: bytes
    body: bytes


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedPostgres, the_real_grafana: Target) -> AsyncIterator[Site]:
    """A server with two clients and a real Grafana."""
    async with open_site(postgres.url, the_real_grafana) as running:
        yield running


@pytest.fixture(scope="module")
async def cookie(site: Site) -> bytes:
    """The attacker's session, as an editor of the first client."""
    return (await site.cookie(site.maple, site.maple.editor)).encode()


async def ask(
    site: Site,
    target: bytes,
    *headers: tuple[bytes, bytes],
    method: bytes = b"GET",
    body: bytes = b"",
    cookie: bytes = b"",
) -> Answer:
    """Send a request as it stands and read what comes until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    lines = [b"%s %s HTTP/1.1" % (method, target), b"Host: 127.0.0.1:%d" % site.port, b"Connection: close"]
    lines += [b"Accept: application/json", b"Origin: " + site.url.encode()]
    lines += [b"Cookie: " + cookie] if cookie else []
    lines += [b"Content-Length: %d" % len(body), b"Content-Type: application/json"] if body else []
    lines += [b"%s: %s" % pair for pair in headers]
    try:
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        async with asyncio.timeout(20):
            raw = await reader.read(-1)
    except ConnectionError:
        return Answer(0, b"", b"")
    finally:
        writer.close()
    head, _, content = raw.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ")[1]) if head else 0, head, content)


def names_others(answer: Answer) -> bool:
    """Tell whether an answer says anything of anybody else."""
    return any(word in answer.head + answer.body for word in FOREIGN)


async def all_at_once(jobs: list[Any]) -> list[Any]:
    """Do much, a little of it at a time."""
    gate = asyncio.Semaphore(SHARES)

    async def one(job: Any) -> Any:
        async with gate:
            return await job

    return await asyncio.gather(*(one(job) for job in jobs))


async def test_no_way_of_writing_a_path_reaches_what_is_closed(site: Site, cookie: bytes) -> None:
    targets = [
        b"/maple/grafana" + raw
        for closed in CLOSED
        for raw in (closed, *mutations(closed))[:: 4 if closed[1:2] == b"a" else 1]
    ]
    targets += [b"/maple/../oak/grafana/api/search", b"/maple/grafana/../../oak/grafana/", b"/maple%2fgrafana/api/orgs"]
    targets += [
        b"/oak/grafana/api/search",
        b"/maple/%67rafana/api/orgs",
        b"//maple/grafana/api/orgs",
        b"/MAPLE/grafana/api/orgs",
    ]
    targets += [b"http://grafana/maple/grafana/api/orgs", b"/maple/grafana;/api/orgs", b"/maple;x/grafana/api/orgs"]
    assert len(set(targets)) > 500
    answers = await all_at_once([ask(site, target, cookie=cookie) for target in targets])
    for target, answer in zip(targets, answers, strict=True):
        # 303 leads to our own login or logout, 0 and 400 are the web server's own refusals.
        assert answer.status in {0, 303, 400, 401, 404}, (target, answer)
        assert not names_others(answer) or b"/oak/" in target or b"/api/orgs/name/oak" in target, (target, answer)


async def test_no_header_makes_somebody_else_of_anybody(site: Site, cookie: bytes) -> None:
    skipped = {b"transfer-encoding", b"host", b"expect", b"connection", b"upgrade"}  # they change the request itself
    sent = [pair for pair in HEADER_SPOOFS if pair[0].lower() not in skipped]
    assert len(set(sent)) >= 60
    targets = (b"/maple/grafana/api/search", b"/maple/grafana/api/user/preferences")
    plain = {target: (await ask(site, target, cookie=cookie)) for target in targets}
    assert all(answer.status == 200 for answer in plain.values())
    for target in targets:
        answers = await all_at_once([ask(site, target, pair, cookie=cookie) for pair in sent])
        for pair, answer in zip(sent, answers, strict=True):
            assert answer.status in {0, 200, 400}, (pair, answer)
            assert answer.status != 200 or answer.body == plain[target].body, (pair, answer)
        without = await all_at_once([ask(site, target, pair) for pair in sent if pair[0].lower() != b"cookie"])
        assert {answer.status for answer in without} <= {0, 400, 401}


async def test_no_cookie_makes_somebody_else_of_anybody(site: Site, cookie: bytes) -> None:
    assert len(set(COOKIE_SPOOFS)) >= 20
    name, _, own = re.search(rb"(\w+)(=)([A-Za-z0-9_-]{43})", cookie).groups()  # type: ignore[union-attr]
    theirs = (await site.cookie(site.oak, site.oak.editor)).encode()
    other = re.search(rb"=([A-Za-z0-9_-]{43})", theirs)[1]  # type: ignore[index]
    given = {b"{name}": name, b"{NAME}": name.upper(), b"{own}": own, b"{other}": other}
    target = b"/maple/grafana/api/search"
    plain = await ask(site, target, cookie=cookie)
    assert plain.status == 200
    assert (await ask(site, b"/oak/grafana/api/search", cookie=theirs)).status == 200
    for spoof in COOKIE_SPOOFS:
        sent = spoof
        for key, value in given.items():
            sent = sent.replace(key, value)
        answer = await ask(site, target, cookie=sent)
        assert answer.status in {200, 400, 401}, (spoof, answer)
        assert answer.status != 200 or (answer.body == plain.body and own in sent), (spoof, answer)
        foreign = await ask(site, b"/oak/grafana/api/search", cookie=sent.replace(other, own))
        assert foreign.status in {400, 401}, (spoof, foreign)


async def test_no_password_or_token_opens_grafana_through_the_gateway(
    site: Site, cookie: bytes, the_real_grafana: Target
) -> None:
    for name, password in ((b"admin", the_real_grafana.password.encode()), (b"oak:ana@oak.example", PASSWORD.encode())):
        basic = b"Basic " + base64.b64encode(name + b":" + password)
        for headers in (((b"Authorization", basic),), ((b"authorization", basic), (b"Connection", b"authorization"))):
            alone = await ask(site, b"/maple/grafana/api/search", *headers)
            assert alone.status == 401
            orgs = await ask(site, b"/maple/grafana/api/orgs", *headers, cookie=cookie)
            assert orgs.status == 404
    body = json.dumps({"user": "admin", "password": the_real_grafana.password}).encode()
    posted = await ask(site, b"/maple/grafana/login", method=b"POST", body=body, cookie=cookie)
    assert posted.status in {303, 404}
    assert b"grafana_session" not in posted.head


async def test_no_request_changes_the_organisation(site: Site, cookie: bytes, the_real_grafana: Target) -> None:
    for raw in (b"orgId=1", b"orgId=3&orgId=2", b"OrgId=1", b"org%49d=1", b"targetOrgId=1"):
        for path in (b"/api/search", b"/api/user/preferences", b"/api/dashboards/home"):
            plain = await ask(site, b"/maple/grafana" + path, cookie=cookie)
            turned = await ask(site, b"/maple/grafana" + path + b"?" + raw, cookie=cookie)
            assert (turned.status, turned.body) == (plain.status, plain.body)
    for number in range(1, 6):
        for method in (b"POST", b"GET", b"PUT"):
            path = b"/maple/grafana/api/user/using/%d" % number
            assert (await ask(site, path, method=method, cookie=cookie)).status == 404
    login = ("admin", the_real_grafana.password)
    async with httpx.AsyncClient(base_url=the_real_grafana.url, auth=login, trust_env=False) as grafana:
        for tenant in (site.maple, site.oak):
            name = {"loginOrEmail": f"{tenant.id}:{tenant.editor}"}
            user = (await grafana.get("/api/users/lookup", params=name)).json()
            orgs = (await grafana.get(f"/api/users/{user['id']}/orgs")).json()
            assert [(org["name"], org["role"]) for org in orgs] == [(tenant.id, "Editor")]


async def test_smuggled_and_half_sent_requests_reach_nothing(site: Site, cookie: bytes) -> None:
    hidden = b"GET /maple/grafana/api/orgs HTTP/1.1\r\nHost: x\r\nX-WEBAUTH-USER: admin\r\n\r\n"
    for headers in (
        ((b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"%d" % len(hidden))),
        ((b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"identity")),
        ((b"Content-Length", b"0"), (b"Content-Length", b"%d" % len(hidden))),
        ((b"Content-Length", b"+0"),),
        ((b"Upgrade", b"h2c"), (b"HTTP2-Settings", b"AAMAAABkAAQAAP__")),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        lines = [b"POST /maple/grafana/api/ds/query HTTP/1.1", b"Host: 127.0.0.1:%d" % site.port, b"Cookie: " + cookie]
        lines += [b"Origin: " + site.url.encode(), *(b"%s: %s" % pair for pair in headers)]
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n0\r\n\r\n" + hidden)
        writer.write_eof()
        try:
            async with asyncio.timeout(10):
                raw = await reader.read(-1)
        except (ConnectionError, TimeoutError):
            raw = b""
        writer.close()
        assert b'"orgId"' not in raw
        assert not any(word in raw for word in FOREIGN)


async def test_a_websocket_needs_a_session_the_own_origin_and_the_own_client(site: Site, cookie: bytes) -> None:
    async with aiohttp.ClientSession() as http:
        own = {"Cookie": cookie.decode(), "Origin": site.url}
        live = f"{site.url}/maple/grafana/api/live/ws"
        for headers, url in (
            ({"Origin": site.url}, live),
            (own | {"Origin": "https://evil.example"}, live),
            ({"Cookie": cookie.decode()}, live),
            (own, f"{site.url}/oak/grafana/api/live/ws"),
            (own, f"{site.url}/maple/grafana/api/live/push/x"),
            (own, f"{site.url}/maple/grafana/api/live//ws"),
            (own | {"X-WEBAUTH-USER": "admin", "Cookie": ""}, live),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with http.ws_connect(url, headers=headers):
                    pass
            assert refused.value.status in {401, 403, 404}


async def test_a_websocket_sees_its_own_organisation_alone(site: Site, cookie: bytes) -> None:
    async with aiohttp.ClientSession() as http:
        headers = {"Cookie": cookie.decode(), "Origin": site.url, "X-Grafana-Org-Id": "1"}
        async with http.ws_connect(f"{site.url}/maple/grafana/api/live/ws", headers=headers) as socket:
            await socket.send_json({"id": 1, "connect": {}})
            hello = await socket.receive_json(timeout=5)
            assert hello["connect"]["client"]
            org = await own_organisation(site)
            await socket.send_json({"id": 2, "subscribe": {"channel": f"{org}/grafana/dashboard/uid/user-events"}})
            answer = await answer_to(socket, 2)
            assert ("error" in answer, "subscribe" in answer) == (False, True), answer
            foreign = [number for number in range(1, org + 3) if number != org]
            channels = [f"{number}/grafana/dashboard/uid/user-events" for number in foreign]
            for number, channel in enumerate(["1/grafana/broadcast/x", *channels], 3):
                await socket.send_json({"id": number, "subscribe": {"channel": channel}})
                answer = await answer_to(socket, number)
                assert answer["error"]["code"] in {101, 102, 103, 107}, answer


async def answer_to(socket: aiohttp.ClientWebSocketResponse, number: int) -> dict[str, Any]:
    """Wait for the answer to a command; a message holds a line for each thing that is told."""
    while True:
        for line in (await socket.receive_str(timeout=5)).splitlines():
            told: dict[str, Any] = json.loads(line)
            if told.get("id") == number:
                return told


async def own_organisation(site: Site) -> int:
    """Look up which organisation of Grafana's is the attacker's."""
    query = "SELECT grafana_org_id FROM grove.clients WHERE id = $1"
    (row,) = await fetch(site.grove.settings.main_url, query, site.maple.id)
    org: int = row["grafana_org_id"]
    return org


@pytest.mark.parametrize("end", ["disable", "demote", "log out", "suspend", "remove"])
async def test_open_sockets_of_staff_who_are_out_or_demoted_close_within_a_second(site: Site, end: str) -> None:
    api, maple = site.grove.http, site.maple
    email = f"{end.replace(' ', '-')}@maple.example"
    person = await add_person(site.grove, maple.client, email, role="editor")
    repair = site.grove.platform | {"Prefer": "wait=30"}
    assert (await api.post(f"{maple.client.path}/grafana/reconcile", headers=repair)).is_success
    browser = await site.log_in(maple, email)
    mine = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
    path, admin = f"{maple.client.path}/staff/{person['id']}", maple.client.admin
    proof = fields_of(await browser.get("/maple/logout", headers=HTML))
    async with aiohttp.ClientSession() as http:
        headers = {"Cookie": mine, "Origin": site.url}
        async with http.ws_connect(f"{site.url}/maple/grafana/api/live/ws", headers=headers) as socket:
            await socket.send_json({"id": 1, "connect": {}})
            await socket.receive_json(timeout=5)
            match end:
                case "disable":
                    answer = await api.patch(path, json={"status": "disabled"}, headers=admin)
                case "demote":
                    answer = await api.patch(path, json={"role": "viewer"}, headers=admin)
                case "log out":
                    answer = await browser.post("/maple/logout", data=proof)
                case "suspend":
                    answer = await api.post(f"{maple.client.path}/suspend", headers=site.grove.platform)
                case _:
                    answer = await api.delete(path, headers=admin)
            started = time.monotonic()
            try:
                assert answer.status_code in {200, 204, 303}, answer.text
                closed = await socket.receive(timeout=3)
                assert closed.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}, closed
                assert time.monotonic() - started < 1
                again = await ask(site, b"/maple/grafana/api/search", cookie=mine.encode())
                assert again.status == {"demote": 200, "suspend": 403}.get(end, 401)
                saved = json.dumps({"dashboard": {"title": end, "panels": []}}).encode()
                target = b"/maple/grafana/api/dashboards/db"
                answered = await ask(site, target, method=b"POST", body=saved, cookie=mine.encode())
                assert answered.status in {401, 403, 404}
            finally:
                if end == "suspend":
                    await api.post(f"{maple.client.path}/resume", headers=site.grove.platform)
    await browser.aclose()
