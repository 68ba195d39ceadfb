"""`/{client_id}/assets/…`: style sheets, scripts and pictures of our pages, below the client's prefix like all else.

The files are the same for everybody; `brand.css` holds the client's colours, `mark.svg` its initial, `logo.png` and
`icon.png` what was drawn from its logo. Whoever is no client has neutral colours and no pictures.
"""

import hashlib
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.console.brand import NEUTRAL, Brand, brand_of
from app.console.visit import find_served
from provisioning.logos import PICTURES, find_picture
from tenants.control import ControlPlane
from tenants.errors import NotFound
from tenants.registry import Registry

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
BRAND_SHEET, MARK, LOGO, ICON = "brand.css", "mark.svg", *PICTURES


def asset_path(prefix: str, name: str, brand: Brand) -> str:
    """Return the path of an asset, which changes with its content so that browsers may keep it."""
    version = str(brand.logo) if name in PICTURES else _version(_content(name, brand))
    return f"{prefix}/assets/{name}?v={version}"


def icon_path(prefix: str, brand: Brand) -> str:
    """Return the path of what stands for the client in a small square: its logo, else its initial in its colour."""
    return asset_path(prefix, MARK if brand.logo is None else ICON, brand)


@get("/{client_id:str}/assets/{name:str}", include_in_schema=False)
async def show_asset(
    client_id: FromPath[str],
    name: FromPath[str],
    registry: NamedDependency[Registry],
    control: NamedDependency[ControlPlane],
    request: Request[Any, Any, Any],
) -> Response[bytes]:
    """Answer with a file of a page; browsers keep what they asked for by its version."""
    client = await find_served(registry, client_id)
    brand = NEUTRAL if client is None else brand_of(client)
    if name in PICTURES:
        content, version = await _picture(control, client_id, name, brand), str(brand.logo)
    elif name in {BRAND_SHEET, MARK} or name in _names():
        content = _content(name, brand)
        version = _version(content)
    else:
        raise NotFound("No such file.")
    lasting = request.query_params.get("v") == version
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable" if lasting else "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)


async def _picture(control: ControlPlane, client_id: str, name: str, brand: Brand) -> bytes:
    """Read a picture, if the client has one and is served."""
    if brand.logo is None:
        raise NotFound("No such file.")
    async with control.session() as session:
        return await find_picture(session, client_id, name)


def _content(name: str, brand: Brand) -> bytes:
    if name == BRAND_SHEET:
        return _brand_sheet(brand).encode()
    return _mark(brand).encode() if name == MARK else _read(name)


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES)


@cache
def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


def _brand_sheet(brand: Brand) -> str:
    return f":root {{ --primary: {brand.primary}; --on-primary: {brand.on_primary}; --accent: {brand.accent}; }}\n"


def _mark(brand: Brand) -> str:
    initial = escape(brand.name.strip()[:1].upper() or NEUTRAL.name[0])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="14" '
        f'fill="{brand.primary}"/><text x="32" y="44" font-family="sans-serif" font-weight="700" font-size="36" '
        f'text-anchor="middle" fill="{brand.on_primary}">{initial}</text></svg>'
    )


handlers = [show_asset]
