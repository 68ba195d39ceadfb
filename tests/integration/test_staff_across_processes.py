"""Staff who are logged out, demoted, disabled or removed are out within a second in every process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack

import httpx
import pytest

from app.bootstrap import bootstrap
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from app.settings import Settings
from app.workers.worker import run_worker
from tests.support.browser import PASSWORD, fields_of
from tests.support.grove import bearer, grove_settings, own_database
from tests.support.waiting import until
from tests.support.web import is_ready, web_process

pytestmark = pytest.mark.fault(12)

LIMIT_S = 1.0


class Pair:
    """Two web processes on one database, and a client's admin key."""

    def __init__(self, browsers: list[httpx.AsyncClient], admin: dict[str, str]) -> None:
        self.browsers = browsers
        self.admin = admin

    async def log_in(self) -> dict[str, str]:
        """Invite somebody, follow the link on one process, log in there, and take the session to both."""
        first = self.browsers[0]
        email = f"p{time.monotonic_ns()}@maple.example"
        made = await first.post("/api/v1/clients/maple/staff", json={"email": email}, headers=self.admin)
        link = httpx.URL(made.json()["link"]["url"]).path
        form = fields_of(await first.get(link)) | {"password": PASSWORD, "again": PASSWORD}
        assert (await first.post(link, data=form)).status_code == 303
        form = fields_of(await first.get("/maple/login")) | {"email": email, "password": PASSWORD}
        assert (await first.post("/maple/login", data=form)).status_code == 303
        self.browsers[1].cookies = first.cookies
        return {"id": made.json()["id"], "email": email}

    async def are_in(self) -> list[bool]:
        """Tell of each process whether it takes the session."""
        return [(await browser.get("/maple/login")).status_code == 303 for browser in self.browsers]

    async def out_by(self, deadline: float) -> None:
        """Wait until both refuse the session; they must by the deadline, and for good."""

        async def are_out() -> bool:
            return await self.are_in() == [False, False]

        await until(are_out, within_s=max(deadline - time.monotonic(), 0))
        assert [await self.are_in() for _ in range(3)] == [[False, False]] * 3


@pytest.fixture(params=["with Redis", "without Redis"])
async def pair(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> AsyncIterator[Pair]:
    """Two web processes, and a client that was made by a worker."""
    redis_url = valkey.url if request.param == "with Redis" else None
    async with own_database(postgres.url) as url:
        settings = grove_settings(url, redis_url=redis_url, log_level="warning", public_url="http://127.0.0.1:8000")
        platform_key = (await bootstrap(settings)).platform_key
        assert platform_key is not None
        with ExitStack() as stack:
            addresses = [stack.enter_context(web_process(settings)) for _ in range(2)]
            browsers = [httpx.AsyncClient(base_url=address, headers={"Accept": "text/html"}) for address in addresses]
            for browser in browsers:
                await until(lambda browser=browser: is_ready(browser), within_s=30)  # type: ignore[misc]
            yield Pair(browsers, await make_client(settings, browsers[0], platform_key))
            for browser in browsers:
                await browser.aclose()


async def make_client(settings: Settings, http: httpx.AsyncClient, platform_key: str) -> dict[str, str]:
    """Onboard a client and return its admin key's header."""
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(settings, stop))
    headers = bearer(platform_key) | {"Prefer": "wait=30"}
    answer = await http.post("/api/v1/clients", json={"id": "maple", "name": "Maple"}, headers=headers, timeout=40)
    stop.set()
    await worker
    return bearer(answer.json()["keys"]["admin"])


async def test_staff_are_out_in_both_processes_within_a_second(pair: Pair) -> None:
    first, second = pair.browsers
    for end in ("disable", "remove", "log out", "reset"):
        person = await pair.log_in()
        path = f"/api/v1/clients/maple/staff/{person['id']}"
        form = fields_of(await second.get("/maple/logout"))
        link = None
        if end == "reset":
            made = await first.post(f"{path}/invite", headers=pair.admin)
            link = httpx.URL(made.json()["link"]["url"]).path
            form = fields_of(await second.get(link)) | {"password": f"{PASSWORD}!", "again": f"{PASSWORD}!"}
        # Both have it in their caches.
        assert [await pair.are_in() for _ in range(2)] == [[True, True]] * 2
        match end:
            case "disable":
                answer = await second.patch(path, json={"status": "disabled"}, headers=pair.admin)
            case "remove":
                answer = await second.delete(path, headers=pair.admin)
            case "log out":
                kept = httpx.Cookies(second.cookies)
                answer = await second.post("/maple/logout", data=form)
                second.cookies = kept
            case _:
                answer = await second.post(link or "", data=form)
        ended_at = time.monotonic()
        assert answer.status_code in {200, 204, 303}, answer.text
        await pair.out_by(ended_at + LIMIT_S)


async def test_a_changed_role_is_known_in_both_processes_within_a_second(pair: Pair) -> None:
    first, second = pair.browsers
    person = await pair.log_in()
    path = f"/api/v1/clients/maple/staff/{person['id']}"
    assert await pair.are_in() == [True, True]
    assert (await first.patch(path, json={"name": "Renamed Person"}, headers=pair.admin)).status_code == 200
    changed_at = time.monotonic()

    async def is_known() -> bool:
        return all(["Renamed Person" in (await browser.get("/maple/")).text for browser in (first, second)])

    await until(is_known, within_s=max(changed_at + LIMIT_S - time.monotonic(), 0))
