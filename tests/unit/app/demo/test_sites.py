"""The documents of the demo's sites, and the servers that they are on."""

import re

import httpx
import pytest

from app.demo.sites.pages import Document, Documents, draw_portfolio, draw_shop
from app.demo.sites.server import serve_site

TAG = '<script async src="http://grove.test/tag/abc.js"></script>'
OTHER = "http://127.0.0.1:8002/"
SITES = [draw_shop(TAG, OTHER), draw_portfolio(TAG, OTHER)]
# Code and style within a page, which a strict policy does not allow.
INLINE = re.compile(r'<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|style="')


def pages_of(site: Documents) -> dict[str, str]:
    return {path: document.content.decode() for path, document in site.items() if "html" in document.media_type}


@pytest.mark.parametrize("site", SITES)
def test_every_place_that_a_page_names_is_on_the_site(site: Documents) -> None:
    named = {place for text in pages_of(site).values() for place in re.findall(r'(?:href|src)="([^"#]+)', text)}
    elsewhere = {place for place in named if "://" in place}

    assert elsewhere == {OTHER, "http://grove.test/tag/abc.js"}
    assert named - elsewhere <= set(site)


@pytest.mark.parametrize("site", SITES)
def test_every_page_carries_the_tag_and_no_inline_code(site: Documents) -> None:
    for path, text in pages_of(site).items():
        assert text.count(TAG) == 1, path
        assert INLINE.search(text) is None, path


def test_a_site_whose_port_is_taken_has_another() -> None:
    with serve_site(0) as first, serve_site(first.server_port) as second:
        first.documents = {"/": Document(b"first", "text/plain")}
        second.documents = {"/": Document(b"second", "text/plain")}
        second.policy = "default-src 'none'"

        assert first.server_port != second.server_port
        assert httpx.get(first.url).text == "first"
        answer = httpx.get(f"{second.url}/?utm_source=paper")
        assert (answer.text, answer.headers["content-security-policy"]) == ("second", "default-src 'none'")
        assert httpx.get(f"{second.url}/missing").status_code == 404
