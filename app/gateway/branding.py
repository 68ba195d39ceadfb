"""The gateway's own files below Grafana's pages: a script, a style sheet and the client's logo.

Called by `app.gateway.gateway`. The logo also answers for Grafana's, wherever one of its pages shows that.
"""

from functools import cache
from html import escape
from pathlib import Path

from app.console.brand import Brand
from app.gateway.headers import Headers

_FOLDER = Path(__file__).parent / "static"
_SHORT = b"private, max-age=300"
# Where Grafana's pages and scripts look for its logo.
LOGOS = frozenset(
    {
        "/public/img/apple-touch-icon.png",
        "/public/img/fav32.png",
        "/public/img/grafana_icon.svg",
        "/public/img/grafana_mask_icon.svg",
        "/public/img/grafana_mask_icon_white.svg",
        "/public/img/grafana_net_logo.svg",
        "/public/img/grafana_text_logo-dark.svg",
        "/public/img/grafana_text_logo-light.svg",
        "/public/img/grafana_typelogo.svg",
    }
)
OWN_FILES = frozenset({"/grove/brand.css", "/grove/brand.js", "/grove/logo"})
Answer = tuple[int, Headers, bytes]


def find_own(path: str, brand: Brand) -> Answer | None:
    """Answer for a file of ours, or the logo in place of Grafana's; None where the path is neither."""
    if path in LOGOS or path == "/grove/logo":
        return _logo(brand)
    if path == "/grove/brand.css":
        return _file(b"text/css", _sheet(brand).encode())
    if path == "/grove/brand.js":
        return _file(b"text/javascript", _read("brand.js").encode())
    return None


def _logo(brand: Brand) -> Answer:
    """Lead to the client's logo, or draw its initial in its colour."""
    if brand.logo_url is not None:
        return 302, [(b"location", brand.logo_url.encode()), (b"cache-control", _SHORT)], b""
    initial = escape(brand.name.strip()[:1].upper() or "A")
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="14" '
        f'fill="{brand.primary}"/><text x="32" y="44" font-family="sans-serif" font-weight="700" font-size="36" '
        f'text-anchor="middle" fill="{brand.on_primary}">{initial}</text></svg>'
    )
    return _file(b"image/svg+xml", svg.encode())


def _file(media_type: bytes, content: bytes) -> Answer:
    length = (b"content-length", b"%d" % len(content))
    return 200, [(b"content-type", media_type), length, (b"cache-control", _SHORT)], content


def _sheet(brand: Brand) -> str:
    """Give the style sheet its colours and name; a colour is six digits, and of the name nothing ends a string."""
    name = "".join(f"\\{ord(character):x} " for character in brand.name)
    given = {"primary": brand.primary, "on-primary": brand.on_primary, "accent": brand.accent, "name": f'"{name}"'}
    variables = "".join(f"--grove-{key}: {value};" for key, value in given.items())
    return f":root {{ {variables} }}\n{_read('brand.css')}"


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text()
