"""The SDK as sites load it: the built files, kept by browsers for as long as they do not change."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.asgi import create_app
from app.settings import Settings

DIST = Path(__file__).parents[2] / "sdk" / "dist"
SETTINGS = Settings(
    database_url="postgresql://nobody@127.0.0.1:1/none", public_url="http://grove.test", secret_key="s" * 32
)
FILES = {"/sdk.js": "grove.js", "/analytics-sdk.js": "grove.js", "/sdk-more.js": "grove-more.js"}
every_file = pytest.mark.parametrize(("path", "name"), FILES.items())


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Ask the application as a browser would; nothing is connected behind it."""
    transport = httpx.ASGITransport(create_app(SETTINGS))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://grove.test") as client:
        yield client


@every_file
async def test_a_part_is_served_as_it_was_built(http: httpx.AsyncClient, path: str, name: str) -> None:
    answer = await http.get(path, headers={"Accept-Encoding": "identity"})

    assert answer.status_code == 200
    assert answer.content == (DIST / name).read_bytes()
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_it_is_sent_within_two_kilobytes_to_whoever_inflates(http: httpx.AsyncClient) -> None:
    async with http.stream("GET", "/sdk.js", headers={"Accept-Encoding": "gzip, br"}) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert len(raw) <= 2048
    assert gzip.decompress(raw) == (DIST / "grove.js").read_bytes()


@every_file
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_what_a_browser_has_is_not_sent_again(
    http: httpx.AsyncClient, path: str, name: str, encoding: str
) -> None:
    tag = (await http.get(path, headers={"Accept-Encoding": encoding})).headers["etag"]
    again = {"Accept-Encoding": encoding, "If-None-Match": f'"other", W/{tag}'}
    known = await http.get(path, headers=again)
    changed = await http.get(path, headers=again | {"If-None-Match": '"other"'})

    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    assert (changed.status_code, changed.content) == (200, (DIST / name).read_bytes())


@every_file
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_its_headers_can_be_asked_for_alone(http: httpx.AsyncClient, path: str, name: str, encoding: str) -> None:
    async with http.stream("GET", path, headers={"Accept-Encoding": encoding}) as whole:
        raw = b"".join([chunk async for chunk in whole.aiter_raw()])
    head = await http.head(path, headers={"Accept-Encoding": encoding})

    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(raw))), name
    assert {*head.headers.items()} ^ {*whole.headers.items()} == {
        ("x-request-id", answer.headers["x-request-id"]) for answer in (head, whole)
    }
    assert (await http.head(path, headers={"If-None-Match": "*"})).status_code == 304


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip;q=0", None), ("*, gzip; q=0.000", None), ("br", None), ("", None), ("GZIP;q=0.5", "gzip"), ("*", "gzip")],
)
async def test_it_is_compressed_for_nobody_who_refuses_that(
    http: httpx.AsyncClient, accepted: str, encoding: str | None
) -> None:
    assert (await http.get("/sdk.js", headers={"Accept-Encoding": accepted})).headers.get(
        "content-encoding"
    ) == encoding


async def test_the_two_encodings_are_told_apart(http: httpx.AsyncClient) -> None:
    tags = {(await http.get("/sdk.js", headers={"Accept-Encoding": way})).headers["etag"] for way in ("gzip", "br")}

    assert len(tags) == 2


@pytest.mark.parametrize("origin", [None, "https://shop.example", "null"])
async def test_any_page_may_load_it_and_is_answered_alike(http: httpx.AsyncClient, origin: str | None) -> None:
    answer = await http.get("/sdk.js", headers={} if origin is None else {"Origin": origin})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["cache-control"] == "public, max-age=3600, stale-while-revalidate=86400"
