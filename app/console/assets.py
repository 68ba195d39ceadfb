"""`/{client_id}/assets/…`: style sheets and scripts of our pages, below the client's prefix like everything it loads.

The files are the same for everybody; `brand.css` holds the client's colours, and neutral ones for whoever is no client.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.console.brand import NEUTRAL, Brand, brand_of
from tenants.errors import NotFound
from tenants.ids import TenantId, is_client_id
from tenants.registry import Registry

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
BRAND_SHEET = "brand.css"


async def find_brand(registry: Registry, client_id: str) -> Brand:
    """Return the brand of a client, or the neutral one: a page never tells whether there is such a client."""
    if not is_client_id(client_id):
        return NEUTRAL
    try:
        return brand_of(await registry.get_client(TenantId(client_id)))
    except NotFound:
        return NEUTRAL


def asset_path(prefix: str, name: str, brand: Brand) -> str:
    """Return the path of an asset, which changes with its content so that browsers may keep it."""
    content = _brand_sheet(brand).encode() if name == BRAND_SHEET else _read(name)
    return f"{prefix}/assets/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


@get("/{client_id:str}/assets/{name:str}", include_in_schema=False)
async def show_asset(
    client_id: FromPath[str], name: FromPath[str], registry: NamedDependency[Registry], request: Request[Any, Any, Any]
) -> Response[bytes]:
    """Answer with a file of a page."""
    if name == BRAND_SHEET:
        content = _brand_sheet(await find_brand(registry, client_id)).encode()
    elif name in _names():
        content = _read(name)
    else:
        raise NotFound("No such file.")
    lasting = "private, max-age=31536000, immutable" if "v" in request.query_params else "no-cache"
    headers = {"Cache-Control": lasting, "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES)


@cache
def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


def _brand_sheet(brand: Brand) -> str:
    return f":root {{ --primary: {brand.primary}; --on-primary: {brand.on_primary}; --accent: {brand.accent}; }}\n"


handlers = [show_asset]
