"""Every page, asked with another client's session about a client that there is and about one that there is not.

The answers must be the same to the letter. A page that is added is walked by itself; a parameter that is new has to be
told to this walk, or it fails.
"""

import re
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import httpx
import pytest

from app.asgi import create_litestar
from app.embedded.postgres import EmbeddedPostgres
from app.observability import Metrics
from tests.support.browser import ORIGIN, Browser, add_person
from tests.support.grove import Grove, MadeClient, grove_settings, open_grove

# Pages before a login, which everybody may see under the client's name.
FRONT = ("login", "reset", "invitation", "assets")
FILLED = {"uid": "user-events", "panel_id": "1", "name": "console.css", "token": "x" * 43, "path": "api/search"}
ACCEPTED = {"page": "text/html", "data": "application/json"}


class Page(NamedTuple):
    """One method of one path below a client's."""

    method: str
    path: str

    @property
    def names(self) -> set[str]:
        """Its parameters, but for the client."""
        return {part.split("}")[0].split(":")[0] for part in self.path.split("{")[2:]}

    def of(self, client_id: str) -> str:
        """Fill the path in."""
        return re.sub(r"{(\w+)[^}]*}", lambda match: (FILLED | {"client_id": client_id})[match[1]], self.path)


def every_page() -> Iterator[Page]:
    """List what the application answers to below clients' paths."""
    app = create_litestar(grove_settings("postgresql://a:b@127.0.0.1:1/x"), Metrics())
    for route in app.routes:
        if route.path.startswith("/{client_id"):
            for method in sorted(getattr(route, "methods", None) or {"GET", "POST"}):
                if method not in {"OPTIONS", "HEAD"}:
                    yield Page(method, route.path_format)


PAGES = sorted(every_page())  # in one order, so that several processes can share the tests
INNER = [page for page in PAGES if page.path.split("/")[2:3] not in [[name] for name in FRONT]]


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url, public_url=ORIGIN) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def victim(grove: Grove) -> MadeClient:
    """The client whose pages are asked for."""
    made = await grove.make_client("maple", name="Maple Dental", branding={"primaryColor": "#c2410c"})
    await add_person(grove, made, "ana@maple.example")
    return made


@pytest.fixture(scope="module")
async def session(grove: Grove) -> str:
    """A session of another client's staff."""
    birch = await grove.make_client("birch", name="Birch Bikes")
    await add_person(grove, birch, "ben@birch.example")
    browser = Browser(grove)
    await browser.log_in("birch", "ben@birch.example")
    assert (await browser.get("/birch/")).status_code == 200
    return browser.cookie("__Secure-grove") or ""


def told(answer: httpx.Response, client_id: str) -> tuple[int, dict[str, str], str]:
    """Take from an answer what may differ between any two, and the client that was asked for."""
    headers = {
        name: value.replace(client_id, "…")
        for name, value in answer.headers.items()
        if name not in {"x-request-id", "set-cookie"}
    }
    text = re.sub(r'"request_id":"\w+"|name="csrf" value="[^"]+"|Request \w+', "", answer.text)
    return answer.status_code, headers, text.replace(client_id, "…")


def test_there_are_pages_to_walk() -> None:
    assert {"/{client_id}", "/{client_id}/login", "/{client_id}/logout"} <= {
        re.sub(r":\w+}", "}", page.path) for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_the_walk_knows_how_to_fill_in_the_page(page: Page) -> None:
    assert page.names <= set(FILLED), f"teach this walk what {page.names - set(FILLED)} are"


@pytest.mark.parametrize("accept", list(ACCEPTED.values()), ids=list(ACCEPTED))
@pytest.mark.parametrize("page", INNER, ids=" ".join)
async def test_anothers_page_and_none_at_all_are_answered_alike(
    grove: Grove, victim: MadeClient, session: str, page: Page, accept: str
) -> None:
    for cookie in (f"__Secure-grove={session}", f"__Secure-grove={'x' * 43}", "a=b"):
        headers = {"Accept": accept, "Cookie": cookie}
        foreign, none = [
            told(await Browser(grove).http.request(page.method, page.of(client_id), headers=headers), client_id)
            for client_id in (victim.id, "nobody")
        ]
        assert foreign == none
        assert foreign[0] in {303, 401, 403, 404, 415}
        assert not re.search(r"Maple|Dental|c2410c|birch", str(foreign))


@pytest.mark.parametrize("page", [page for page in PAGES if page.method == "GET"], ids=" ".join)
async def test_a_page_tells_of_no_other_client(grove: Grove, victim: MadeClient, session: str, page: Page) -> None:
    for cookie in (f"__Secure-grove={session}", "a=b"):
        headers = {"Cookie": cookie}
        answer = await Browser(grove).get(page.of(victim.id), headers=headers)
        assert not re.search(r"birch", str(answer.headers) + answer.text, re.IGNORECASE)
