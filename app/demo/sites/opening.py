"""Open the demo's sites: first their addresses, then their tags, which work from these alone, then their pages.

Called by `app.demo.run`, and by tests in a browser. `check` visits them without one.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from app.demo.api import GroveApi
from app.demo.clients import BIRCH, CEDAR, DemoClient
from app.demo.sites.pages import Documents, draw_portfolio, draw_shop
from app.demo.sites.server import SiteServer, serve_site
from app.demo.sites.tags import PORTFOLIO, SHOP, Tag, ensure_tag

# Nothing but files of the site's own and Grove's, no inline code, and no code made of text.
POLICY = (
    "default-src 'none'; script-src 'self' {grove}; connect-src {grove}; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A client's site. `todo` is what to do there, `dashboard` where it is seen."""

    client: DemoClient
    kind: str
    adaptor: dict[str, Any]
    draw: Callable[[str, str], Documents]
    todo: str
    dashboard: str


class OpenSite(msgspec.Struct, frozen=True):
    """A site that can be visited."""

    site: Site
    url: str
    tag: Tag


SITES = (
    Site(
        client=CEDAR,
        kind="a shop",
        adaptor=SHOP,
        draw=draw_shop,
        todo="Look at goods, fill the cart, pay; sign up for letters; break something at the bottom.",
        dashboard="E-commerce",
    ),
    Site(
        client=BIRCH,
        kind="a portfolio",
        adaptor=PORTFOLIO,
        draw=draw_portfolio,
        todo="Scroll, open projects (it is one page), write a message, leave by the link to the shop.",
        dashboard="Portfolio",
    ),
)


@contextmanager
def serve_sites(ports: tuple[int, int] = (0, 0)) -> Iterator[tuple[SiteServer, SiteServer]]:
    """Listen for visitors of the shop and of the portfolio."""
    with serve_site(ports[0]) as shop, serve_site(ports[1]) as portfolio:
        yield shop, portfolio


async def open_sites(
    api: GroveApi, admin_keys: Mapping[str, str], servers: tuple[SiteServer, SiteServer]
) -> list[OpenSite]:
    """Give the sites their tags and pages; each has a link to the other.

    Errors: DemoFailed.
    """
    opened = []
    for site, server, other in zip(SITES, servers, reversed(servers), strict=True):
        tag = await ensure_tag(api.with_key(admin_keys[site.client.id]), site.adaptor, server.url)
        parts = urlsplit(tag.tag_url)
        server.policy = POLICY.format(grove=f"{parts.scheme}://{parts.netloc}")
        server.documents = site.draw(tag.snippet, f"{other.url}/")
        opened.append(OpenSite(site, server.url, tag))
    return opened
