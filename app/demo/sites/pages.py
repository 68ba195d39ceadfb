"""The documents of the demo's sites, drawn once it is known which tag they carry.

Called by `opening`. A site's folder has its templates, and in `files` what is served as it is.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.demo.goods import GOODS
from app.demo.projects import PROJECTS

FOLDER = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_HTML = "text/html; charset=utf-8"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Document(msgspec.Struct, frozen=True):
    """What is answered with."""

    content: bytes
    media_type: str


Documents = dict[str, Document]


def _money(amount: Decimal) -> str:
    return f"${amount:.2f}"


_TEMPLATES.filters["money"] = _money


def draw_shop(snippet: str, studio: str) -> Documents:
    """Draw the shop by path: a page for each good, and those on the way to paying. `studio` is who made it."""
    pages = {"/": "home", "/cart": "cart", "/checkout": "checkout", "/thanks": "thanks"}
    shared = {"snippet": snippet, "studio": studio, "goods": GOODS}
    drawn = {path: _page(f"shop/{name}.html", shared) for path, name in pages.items()}
    drawn |= {good.path: _page("shop/goods.html", shared | {"good": good}) for good in GOODS}
    return drawn | dict(_files("shop"))


def draw_portfolio(snippet: str, shop: str) -> Documents:
    """Draw the portfolio by path: always the same page, which shows the view of the path that it came by."""
    titles = {"/": "Birch Studio", "/contact": "Contact"} | {each.path: each.title for each in PROJECTS}
    shared = {"snippet": snippet, "shop": shop, "projects": PROJECTS, "titles": titles}
    drawn = {path: _page("portfolio/page.html", shared | {"path": path}) for path in titles}
    return drawn | dict(_files("portfolio"))


def _page(template: str, values: Mapping[str, object]) -> Document:
    return Document(_TEMPLATES.get_template(template).render(values).encode(), _HTML)


def _files(site: str) -> Iterable[tuple[str, Document]]:
    for path in sorted((FOLDER / site / "files").iterdir()):
        yield f"/{path.name}", Document(path.read_bytes(), _KINDS[path.suffix])
