"""What staff see when Grafana is away, slow or strange, and what of its answers goes on."""

import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.gateway.gateway import MAX_DATA_BYTES
from app.gateway.turns import OF_PERSON, WAITING
from app.gateway.upstream import Upstream
from tenants.errors import GrafanaSlow, GrafanaUnreachable
from tests.support.browser import ORIGIN, Browser, add_person
from tests.support.grafana import ALLOWED, Target, double_grafana
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.loopback import Answer, Answering, Call, serve
from tests.support.waiting import until

ANA = "ana@maple.example"
DATA = {"Accept": "application/json", "Origin": ORIGIN}
PATIENCE_S = 5.0
SCRIPT = "/public/build/app.84d214799c2b5093c33c.js"


class Strange:
    """A double behind something that answers some paths in its own way."""

    def __init__(self, url: str) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.answers: dict[str, Answering] = {}
        self._http = httpx.AsyncClient(base_url=url, trust_env=False)

    async def answer(self, call: Call) -> Answer | None:
        """Answer as told for this path, or pass it on."""
        self.calls.append(call)
        if call.path in self.answers:
            return await self.answers[call.path](call)
        headers = {name: value for name, value in call.headers.items() if name not in {"host", "content-length"}}
        passed = await self._http.request(
            call.method, call.path, params=call.query, headers=headers, content=call.content
        )
        if passed.headers["content-type"].startswith("text/html"):
            return Answer(passed.status_code, page=passed.text)
        return Answer(passed.status_code, passed.json() if passed.content else None)

    async def close(self) -> None:
        """Close the connections to the double."""
        await self._http.aclose()

    def say(self, path: str, answer: Answer | None) -> None:
        """Answer a path like this."""

        async def told(_call: Call) -> Answer | None:
            return answer

        self.answers[path] = told


@pytest.fixture(scope="module")
async def strange() -> AsyncIterator[Strange]:
    """A Grafana that can be made to misbehave."""
    async with double_grafana() as target:
        front = Strange(target.url)
        async with serve(front.answer) as url:
            front.url = url
            yield front
        await front.close()


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, strange: Strange) -> AsyncIterator[Grove]:
    """An application behind https, with a worker and that Grafana."""
    target = Target(strange.url, "admin-password")
    given: dict[str, Any] = {
        "public_url": ORIGIN, "grafana_url": target.url, "grafana_admin_password": target.password,
        "grafana_allow_version": ALLOWED, "grafana_timeout_s": PATIENCE_S,
    }  # fmt: skip
    async with open_grove(postgres.url, **given) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client with one person."""
    made = await grove.make_client("maple", name="Maple Dental")
    await add_person(grove, made, ANA)
    return made


@pytest.fixture
async def ana(grove: Grove, maple: MadeClient, strange: Strange) -> AsyncIterator[Browser]:
    """A browser, logged in, and a Grafana that behaves."""
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    strange.answers.clear()
    strange.calls.clear()
    yield browser
    strange.answers.clear()


async def test_a_grafana_that_hangs_up_gives_a_page_under_the_clients_name(ana: Browser, strange: Strange) -> None:
    strange.say("/", None)
    strange.say("/api/search", None)
    page = await ana.get("/maple/grafana/")
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "Maple Dental" in page.text
    assert not re.search("grafana", re.sub(r'(href|action|src)="[^"]*"', "", page.text), re.IGNORECASE)
    data = await ana.get("/maple/grafana/api/search", headers=DATA)
    assert (data.status_code, data.json()["code"], data.headers["retry-after"]) == (502, "grafana_unreachable", "5")
    assert strange.url not in data.text


async def test_a_grafana_that_thinks_for_too_long_gives_a_page_under_the_clients_name(
    ana: Browser, strange: Strange
) -> None:
    async def think(_call: Call) -> Answer | None:
        await asyncio.sleep(PATIENCE_S * 4)
        return None

    strange.answers["/"] = strange.answers["/api/search"] = think
    started = time.monotonic()
    page, data = await asyncio.gather(
        ana.get("/maple/grafana/"), ana.get("/maple/grafana/api/search", headers=DATA)
    )  # fmt: skip
    assert time.monotonic() - started < PATIENCE_S * 2
    assert (page.status_code, "Maple Dental" in page.text) == (504, True)
    assert not re.search("grafana", re.sub(r'(href|action|src)="[^"]*"', "", page.text), re.IGNORECASE)
    assert (data.status_code, data.json()["code"]) == (504, "grafana_slow")
    assert strange.url not in page.text + data.text


async def test_a_grafana_that_does_not_know_somebody_yet_says_so_kindly(ana: Browser, strange: Strange) -> None:
    strange.say("/api/search", Answer(407, {"message": "User not found"}))
    answer = await ana.get("/maple/grafana/api/search", headers=DATA)
    assert (answer.status_code, answer.json()["code"]) == (503, "grafana_unavailable")


async def test_a_grafana_that_is_slow_or_away_is_not_waited_for() -> None:
    async def dawdle(_call: Call) -> Answer:
        await asyncio.sleep(5)
        return Answer(200, {})

    async with serve(dawdle) as url:
        upstream = Upstream(url, answer_timeout_s=0.2)
        with pytest.raises(GrafanaSlow):
            async with upstream.request("GET", "/", [], None):
                pass
        await upstream.close()
    upstream = Upstream(url)
    with pytest.raises(GrafanaUnreachable):
        async with upstream.request("GET", "/", [], None):
            pass
    with pytest.raises(GrafanaUnreachable):
        async with upstream.live("/", [], []):
            pass
    await upstream.close()


async def test_what_grafana_is_told_is_who_asks_and_nothing_else(ana: Browser, strange: Strange) -> None:
    strange.say("/api/user/preferences", Answer(200, {}))
    sent = {"Authorization": "Basic x", "X-WEBAUTH-USER": "admin", "X-Grafana-Org-Id": "1", "Accept-Language": "de"}
    await ana.get("/maple/grafana/api/user/preferences?orgId=1&x=1", headers=DATA | sent)
    call = strange.calls[-1]
    org = call.headers.pop("x-grafana-org-id")
    assert org != "1"
    call.headers.pop("user-agent")
    assert call.headers == {
        "accept": "application/json",
        "accept-encoding": "gzip",
        "accept-language": "de",
        "host": strange.url.removeprefix("http://"),
        "x-webauth-user": f"maple:{ANA}",
    }
    assert call.query == {"x": "1"}


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("/d/x?orgId=1", "/maple/grafana/d/x?orgId=1"),
        ("/", "/maple/grafana/"),
        ("//evil.example/", "/maple/grafana/"),
        ("https://evil.example/", "/maple/grafana/"),
        ("/\\evil.example", "/maple/grafana/"),
        ("d/x", "/maple/grafana/"),
    ],
)
async def test_redirections_stay_below_the_prefix(ana: Browser, strange: Strange, location: str, seen: str) -> None:
    strange.say("/d/x", Answer(302, page="", headers={"location": location, "set-cookie": "grafana_session=1"}))
    answer = await ana.get("/maple/grafana/d/x")
    assert (answer.status_code, answer.headers["location"]) == (302, seen)
    assert "set-cookie" not in answer.headers


async def test_files_that_last_are_asked_for_once_and_kept_by_browsers(ana: Browser, strange: Strange) -> None:
    strange.say(SCRIPT, Answer(200, {"a": "script"}, headers={"content-type": "text/javascript", "etag": '"1"'}))
    answers = [await ana.get(f"/maple/grafana{SCRIPT}") for _ in range(3)]
    assert {answer.text for answer in answers} == {'{"a":"script"}'}
    assert {answer.headers["cache-control"] for answer in answers} == {"private, max-age=31536000, immutable"}
    assert sum(call.path == SCRIPT for call in strange.calls) == 1
    head = await ana.http.head(f"/maple/grafana{SCRIPT}")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_missing_file_is_not_kept(ana: Browser, strange: Strange) -> None:
    path = "/public/build/gone.84d214799c2b5093c33c.js"
    strange.say(path, Answer(404, {"message": "Not found"}))
    for _ in range(2):
        answer = await ana.get(f"/maple/grafana{path}")
        assert (answer.status_code, "immutable" in answer.headers.get("cache-control", "")) == (404, False)
    assert sum(call.path == path for call in strange.calls) == 2


async def test_one_clients_endless_questions_leave_the_others_theirs(
    grove: Grove, ana: Browser, strange: Strange
) -> None:
    birch = await grove.make_client("birch", name="Birch Bikes")
    await add_person(grove, birch, "ben@birch.example")
    ben = Browser(grove)
    await ben.log_in(birch.id, "ben@birch.example")
    going_on = asyncio.Event()

    async def hang(_call: Call) -> Answer | None:
        await going_on.wait()
        return Answer(200, {})

    strange.answers["/api/dashboards/tags"] = hang
    endless = [asyncio.create_task(ana.get("/maple/grafana/api/dashboards/tags", headers=DATA)) for _ in range(140)]

    async def all_wait_or_are_refused() -> bool:
        with_grafana = len([call for call in strange.calls if call.path == "/api/dashboards/tags"])
        return with_grafana >= OF_PERSON and sum(task.done() for task in endless) >= 140 - OF_PERSON - WAITING

    try:
        await until(all_wait_or_are_refused, within_s=5)
        other = await asyncio.wait_for(ben.get("/birch/grafana/api/search", headers=DATA), 5)
        assert other.status_code == 200
        assert len([call for call in strange.calls if call.path == "/api/dashboards/tags"]) == OF_PERSON
        refused = [task.result() for task in endless if task.done()]
        assert len(refused) == 140 - OF_PERSON - WAITING
        assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(429, "queue_full")}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    finally:
        going_on.set()
        await asyncio.gather(*endless)


def request_of(ana: Browser, path: str) -> dict[str, Any]:
    """Write a browser's request as a web server hands it over."""
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in ana.http.cookies.jar)
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("192.0.2.1", 1),
        "server": ("grove.test", 443), "state": {},
        "headers": [(b"host", b"grove.test"), (b"cookie", cookies.encode()), (b"accept-encoding", b"gzip, br")],
    }  # fmt: skip


class Exchange:
    """A request whose answer is taken part by part. `taking` lets the next parts be taken."""

    def __init__(self, grove: Grove, scope: dict[str, Any]) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.answered: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.taking = asyncio.Event()
        self.taking.set()
        self.task = asyncio.create_task(grove.app(scope, self.messages.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        await self.taking.wait()
        await self.answered.put(message)

    async def part(self) -> dict[str, Any]:
        """Wait for the next part of the answer."""
        return await asyncio.wait_for(self.answered.get(), 5)


async def test_an_answer_goes_on_while_it_comes_and_as_it_was_compressed(
    grove: Grove, ana: Browser, strange: Strange
) -> None:
    packed = gzip.compress(b"x" * 100_000)
    rest = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield packed[:20]
        await rest.wait()
        yield packed[20:]

    strange.say("/api/annotations", Answer(200, parts=parts(), headers={"content-encoding": "gzip"}))
    exchange = Exchange(grove, request_of(ana, "/maple/grafana/api/annotations"))
    start, first = await exchange.part(), await exchange.part()
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-encoding"]) == (200, b"gzip")
    assert first["body"] == packed[:20]
    assert not exchange.task.done()
    rest.set()
    assert (await exchange.part())["body"] == packed[20:]
    assert (await exchange.part())["more_body"] is False
    await exchange.task


async def test_no_more_is_read_than_the_browser_takes(grove: Grove, ana: Browser, strange: Strange) -> None:
    piece, sent = b"x" * 65_536, 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(400):
            yield piece
            sent += len(piece)

    strange.say("/api/annotations", Answer(200, parts=parts()))
    exchange = Exchange(grove, request_of(ana, "/maple/grafana/api/annotations"))
    await exchange.part()
    exchange.taking.clear()
    # What lies in the sockets' buffers goes on for a moment; then nothing moves until somebody takes it.
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.3)
    assert sent < 16 * 1024 * 1024
    exchange.taking.set()
    received = 0
    while (part := await exchange.part())["more_body"]:
        received += len(part["body"])
    assert received == 400 * len(piece)
    await exchange.task


async def test_an_answer_that_never_ends_is_broken_off(grove: Grove, ana: Browser, strange: Strange) -> None:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000

    strange.say("/api/annotations", Answer(200, parts=parts()))
    exchange = Exchange(grove, request_of(ana, "/maple/grafana/api/annotations"))
    with pytest.raises(GrafanaUnreachable):
        await asyncio.wait_for(exchange.task, 30)
    received = sum(len(exchange.answered.get_nowait().get("body", b"")) for _ in range(exchange.answered.qsize()))
    assert received <= MAX_DATA_BYTES


async def test_a_browser_that_leaves_takes_its_question_back(grove: Grove, ana: Browser, strange: Strange) -> None:
    asked = asyncio.Event()

    async def hang(_call: Call) -> Answer | None:
        asked.set()
        await asyncio.sleep(30)
        return None

    strange.answers["/api/search"] = hang
    exchange = Exchange(grove, request_of(ana, "/maple/grafana/api/search"))
    await asyncio.wait_for(asked.wait(), 5)
    await exchange.messages.put({"type": "http.disconnect"})
    await asyncio.wait_for(exchange.task, 5)
    assert exchange.answered.empty()
