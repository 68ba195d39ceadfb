"""The documentation pages: readable without internet, and without any script of others."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

import app.api.docs
from app.asgi import create_app
from app.settings import Settings

SETTINGS = Settings(
    database_url="postgresql://nobody@127.0.0.1:1/none", public_url="http://grove.test", secret_key="s" * 32
)
PAGES = ["/docs", "/docs/", "/api/docs", "/api/docs/"]
OWN_FILES = sorted((Path(app.api.docs.__file__).parent / "docs_page").iterdir())
ABSOLUTE = re.compile(r"""(?:https?:)?//[\w.-]+\.\w+""")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Ask the application as a browser would; nothing is connected behind it."""
    transport = httpx.ASGITransport(create_app(SETTINGS))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://grove.test") as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
async def test_the_page_is_there_with_and_without_a_slash(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Grove API</title>" in answer.text


async def test_the_page_allows_nothing_from_elsewhere_and_nothing_inline(http: httpx.AsyncClient) -> None:
    answer = await http.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", answer.text) == []


@pytest.mark.parametrize("path", PAGES)
async def test_everything_that_the_page_loads_is_served_here(http: httpx.AsyncClient, path: str) -> None:
    page = await http.get(path)
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    wanted = [urljoin(path, reference) for reference in loaded if not reference.startswith("data:")]

    assert len(wanted) >= 5
    for reference in wanted:
        answer = await http.get(reference)
        assert answer.status_code == 200, reference
        assert answer.content


@pytest.mark.parametrize("name", ["page.css", "page.js", "swagger-ui.css", "swagger-ui.js"])
async def test_a_file_of_the_page_is_never_taken_for_another_kind(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.get(f"/docs/{name}")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"].startswith(("text/css", "text/javascript"))


@pytest.mark.parametrize("file", OWN_FILES, ids=lambda file: file.name)
def test_our_own_files_name_no_other_site(file: Path) -> None:
    assert ABSOLUTE.findall(file.read_text()) == []


async def test_the_style_sheet_of_others_fetches_nothing(http: httpx.AsyncClient) -> None:
    style = (await http.get("/docs/swagger-ui.css")).text

    assert {target[:5] for target in re.findall(r"url\(['\"]?([^)'\"]+)", style)} <= {"data:"}
    assert "@import" not in style


async def test_the_viewer_knows_openapi_3_1_and_asks_nobody_to_validate(http: httpx.AsyncClient) -> None:
    viewer = (await http.get("/docs/swagger-ui.js")).text
    version = re.search(r'PACKAGE_VERSION:"(\d+)\.', viewer)

    assert version is not None
    assert int(version[1]) >= 5
    assert "validatorUrl: null" in (await http.get("/docs/page.js")).text


@pytest.mark.parametrize(("accepted", "sent"), [("gzip", "gzip"), ("identity", None)])
async def test_files_are_compressed_for_whom_it_helps(http: httpx.AsyncClient, accepted: str, sent: str | None) -> None:
    answer = await http.get("/docs/page.js", headers={"Accept-Encoding": accepted})

    assert answer.headers.get("content-encoding") == sent
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "SwaggerUIBundle" in answer.text


@pytest.mark.parametrize(
    "path", ["/docs/missing.js", "/docs/index.html", "/docs/..%2f..%2fdocs.py", "/schema/missing", "/schema/swagger"]
)
async def test_what_is_no_document_is_answered_like_any_unknown_path(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
